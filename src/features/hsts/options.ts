/** Rows for HTTP Strict Transport Security (RFC 6797). */
import { shape } from '../../config/engine/kinds.ts'

const tenYears = 315_360_000

export const hstsShape = shape({
  name: 'hsts',
  docs:
    'Browsers that have seen `Strict-Transport-Security` refuse cleartext and invalid certificates for the host until it expires, ' +
    'and there is no way to revoke it before that. It is sent over TLS only, and replaces the field if a backend sends it.',
  rows: {
    maxAge: {
      kind: { type: 'integer', min: 0, max: tenYears },
      required: true,
      docs: 'How many seconds browsers remember it, counted from the latest response. 0 tells them to forget it. Start with an hour.',
      example: '31536000',
    },
    subdomains: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'Also applies to every host below this one, even those that are not served here.',
      example: 'true',
    },
    preload: {
      kind: { type: 'boolean' },
      default: false,
      docs: "Allows the host to be built into browsers' preload lists, which takes months to undo.",
      example: 'true',
    },
  },
})
