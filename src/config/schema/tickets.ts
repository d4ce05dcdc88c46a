/** Rows for the keys of TLS session tickets. */
import { shape } from '../engine/kinds.ts'

export const ticketsShape = shape({
  name: 'tickets',
  docs:
    'Keys for TLS session tickets. Each set of TLS terms has its own keys, all derived from a secret in the state folder, so that ' +
    'sessions resume in any worker and after a restart. A session can be resumed for at most `rotate` times `keep`, and for at most ' +
    "7 days. Node only: Bun's TLS library does not accept ticket keys, so sessions there resume within one worker, and `check` " +
    'warns about this section.',
  rows: {
    rotate: {
      kind: { type: 'duration' },
      default: '12h',
      docs: 'How often new tickets get a new key, from 1m to 7d. Expired keys cannot be recovered.',
      example: '6h',
    },
    keep: {
      kind: { type: 'integer', min: 1, max: 24 },
      default: 3,
      docs: 'Tickets are accepted if they were issued under the current key or one of the previous ones; this is the total number of keys.',
      example: '4',
    },
  },
})
