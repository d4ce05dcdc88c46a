/** Rows of `maintenance`: what clients get while a site is in maintenance, and who passes. */
import { addressRange } from '../../config/engine/forms.ts'
import { kind, shape } from '../../config/engine/kinds.ts'
import { pageAtMost } from '../pages.ts'

const maintenanceShape = shape({
  name: 'maintenance',
  docs: 'What clients get while `sallyport maintenance on SITE` holds: a 503 with your page.',
  rows: {
    file: {
      kind: { type: 'file' },
      defaultDocs: "the page of `errors` for 503, or the gateway's own",
      docs: `The page: at most ${pageAtMost / 1024} kB; .html, .txt, .json or .xml. It is read again when it changes.`,
      example: 'back-soon.html',
    },
    allow: {
      kind: { type: 'list', of: { type: 'string', form: addressRange, write: 'address range' }, single: true },
      docs: 'Clients that do not get the page. Everything else (authentication, limits, access lists) holds for them as usual.',
      example: '[10.0.0.0/8]',
    },
    retryAfter: {
      kind: { type: 'duration' },
      docs: 'Sent as `Retry-After`: when clients and search engines may come back.',
      example: '10m',
    },
  },
})

export const maintenanceKind = kind({
  type: 'either',
  text: { type: 'boolean' },
  map: { type: 'object', shape: maintenanceShape },
})
