/** Rows for HTTP Strict Transport Security (RFC 6797). */
import { shape } from '../../config/engine/kinds.ts'

const tenYears = 315_360_000

export const hstsShape = shape({
  name: 'hsts',
  docs:
    'Browsers that have seen `Strict-Transport-Security` refuse cleartext and bad certificates for the host until it has ended, ' +
    'and nothing can call it back before. It is sent over TLS only, and takes the place of what a backend sends.',
  rows: {
    maxAge: {
      kind: { type: 'integer', min: 0, max: tenYears },
      required: true,
      docs: 'Seconds for which browsers remember it, from each answer anew. 0 tells them to forget. Begin with an hour.',
      example: '31536000',
    },
    subdomains: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'Holds for every host below this one too, also for those that are not served here.',
      example: 'true',
    },
    preload: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'Agrees to being built into browsers, which takes months to undo.',
      example: 'true',
    },
  },
})
