/** Rows for the keys of TLS session tickets. */
import { shape } from '../engine/kinds.ts'

export const ticketsShape = shape({
  name: 'tickets',
  docs:
    'Keys of TLS session tickets: each set of TLS terms has its own, all made from a secret in the state folder, so that sessions go ' +
    'on in another worker and after a restart. A session can be taken up again for at most `rotate` times `keep`, and 7 days. ' +
    "On Node; Bun's TLS library takes no such keys: there, sessions resume within one worker, and `check` warns of this section.",
  rows: {
    rotate: {
      kind: { type: 'duration' },
      default: '12h',
      docs: 'New tickets get a new key this often, from 1m to 7d. Keys that have ended cannot be made again.',
      example: '6h',
    },
    keep: {
      kind: { type: 'integer', min: 1, max: 24 },
      default: 3,
      docs: 'Tickets are taken if they were made under the present key or one of those before it, this many in all.',
      example: '4',
    },
  },
})
