/** What is written under `errors`: which statuses have a page of the operator's own, and whose errors. */
import type { Formed } from '../../config/engine/forms.ts'
import { kind, shape } from '../../config/engine/kinds.ts'
import { pageAtMost } from '../pages.ts'

/** A status of an error, `4xx` or `5xx`; or `on`, which says whose errors. */
function errorKey(text: string): Formed<string> {
  if (text === 'on' || /^[45](?:\d\d|xx)$/i.test(text)) return { ok: text.toLowerCase() }
  return { wrong: `${text} is not the status of an error`, hint: 'write 400 to 599, 4xx, 5xx, or on' }
}

const pageShape = shape({
  name: 'error page',
  docs: "Under `errors`: a page for a status, and `on: gateway | all`, whose errors get pages: the gateway's own (the default), or backends' too.",
  rows: {
    file: {
      kind: { type: 'file' },
      required: true,
      docs: `At most ${pageAtMost / 1024} kB; .html, .txt, .json or .xml, which gives the Content-Type.`,
      example: 'sorry.html',
    },
  },
})

export const errorsKind = kind({
  type: 'map',
  key: errorKey,
  keyName: 'status',
  of: {
    type: 'either',
    text: { type: 'string', form: text => ({ ok: text }), write: 'gateway or all' },
    map: { type: 'object', shape: pageShape },
  },
})
