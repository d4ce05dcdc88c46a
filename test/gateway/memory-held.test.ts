/**
 * What hostile peers can make the gateway hold, by its resident set: of the table in test/long/memory-held-*.test.ts the
 * attacks that held the most before there was a bound, one for each kind of holder.
 */
import { measureAttacks } from '../harness/memory-attacks.ts'

measureAttacks([
  'pipelines requests for a backend',
  'sends chunks of one byte to a backend that answers nothing',
  'does not read an answer that a filter changes',
  'sends chunks of one byte while a filter changes a piece',
  'does not read interim answers without end',
  'sends and does not read in a WebSocket',
  'sends DATA of one byte to /sink',
  'sends one byte of every 48 kB for a backend that answers nothing',
  'opens no window for answers of an HTTP/2 backend in frames of one byte',
])
