/** Rows for `errors`: which statuses have a page of the operator's own. */
import type { Formed } from '../../config/engine/forms.ts'
import { shape } from '../../config/engine/kinds.ts'
import { pageAtMost } from './pages.ts'

/** A status of an error, or `4xx` or `5xx`. */
function errorStatus(text: string): Formed<string> {
  if (/^[45](?:\d\d|xx)$/i.test(text)) return { ok: text.toLowerCase() }
  return { wrong: `${text} is not the status of an error`, hint: 'write 400 to 599, 4xx or 5xx' }
}

export const errorsShape = shape({
  name: 'errors',
  docs:
    "Your own pages for errors, in place of the gateway's. Pages are read at start and at each reload. gRPC calls get a gRPC status and no page; " +
    'responses of `respond` and of filters stay as they are.',
  rows: {
    pages: {
      kind: { type: 'map', key: errorStatus, keyName: 'status', of: { type: 'file' } },
      required: true,
      docs:
        'Files by status: 400 to 599, or `4xx` and `5xx` for all of a class without a file of their own. ' +
        `At most ${pageAtMost / 1024} kB each; .html, .txt, .json or .xml, which gives the Content-Type.`,
      example: '{ 502: sorry.html, 4xx: oops.html }',
    },
    on: {
      kind: { type: 'choice', of: ['gateway', 'all'] },
      default: 'gateway',
      docs: "`gateway`: for errors of the gateway only. `all`: also in place of backends' responses with such a status.",
      example: 'all',
    },
  },
})
