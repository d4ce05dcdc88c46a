/**
 * The last of an answer that waits in its stream: who reads nothing is blamed for the time since the stream began, and not for
 * all the time that the process has been running.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { nowMs } from '../../src/base/deadlines.ts'
import { ServerStream } from '../../src/proxy/http2/server-stream.ts'
import type { Stream } from '../../src/proxy/http2/stream.ts'

it('a stream that has sent nothing when it is looked at first has timeouts.idle from its beginning', () => {
  const began = nowMs()
  const services = {
    deadlines: { now: began },
    snapshot: { timeouts: { idleMs: 10_000 } },
    events: { unreadAnswer() {} },
  }
  let resets = 0
  const stream = new ServerStream(services as never, {} as never)
  stream.stream = {
    waiting: true,
    pendingBytes: 1,
    peerReads: () => false,
    reset: () => resets++,
  } as unknown as Stream
  stream.streamTick(began + 1_000)
  assert.equal(resets, 0)
  stream.streamTick(began + 10_001)
  assert.equal(resets, 1)
})
