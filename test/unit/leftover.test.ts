/** How long what a client still sends is thrown away: until it pauses, and no longer than is reasonable, in time and bytes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Deadlines } from '../../src/base/deadlines.ts'
import type { ConnectionPhase } from '../../src/proxy/seam/connection-phase.ts'
import { Leftover } from '../../src/proxy/seam/leftover.ts'
import type { Services } from '../../src/proxy/seam/services.ts'

function lingering() {
  let now = 1_000_000
  const deadlines = new Deadlines(() => now)
  const client = {
    phase: 'exchange' as ConnectionPhase,
    deadlineAt: Number.POSITIVE_INFINITY,
    watchIndex: -1,
    ended: false,
    closed: false,
    link: {
      queuedBytes: 0,
      close: () => void (client.closed = true),
      destroy: () => void (client.ended = true),
    },
    onDeadline: () => leftover.late(),
  }
  deadlines.watch(client)
  const services = { deadlines, snapshot: { timeouts: { idleMs: 60_000 } } }
  const leftover = new Leftover(services as unknown as Services, client)
  /** Sends `bytes` every second. @returns the second in which it was ended */
  const after = (seconds: number, bytes: number): number => {
    for (let second = 1; second <= seconds; second++) {
      for (let tenth = 0; tenth < 10; tenth++) deadlines.sweep((now += 100))
      if (!client.ended && bytes > 0) leftover.add(bytes)
      if (client.ended) return second
    }
    return 0
  }
  return { client, after, stop: () => deadlines.unwatch(client) }
}

describe('what a client sends behind its response', () => {
  it('is waited for 5 seconds', () => {
    const { client, after, stop } = lingering()
    assert.equal(client.phase, 'lingering')
    assert.equal(after(4, 0), 0)
    assert.equal(client.closed, false)
    assert.equal(after(4, 0), 0)
    // Not with a reset, which is for one that does not close then either.
    assert.equal(client.closed, true)
    assert.equal(after(10, 0), 3)
    stop()
  })

  it('may go on while the client reads the response, however slowly', () => {
    const { client, after, stop } = lingering()
    for (client.link.queuedBytes = 1_000; client.link.queuedBytes > 0; client.link.queuedBytes--)
      assert.equal(after(1, 0), 0)
    assert.equal(client.closed, false)
    assert.equal(after(6, 0), 0)
    assert.equal(client.closed, true)
    stop()
  })

  it('ends at timeouts.idle where the client reads nothing, whatever it sends', () => {
    const { client, after, stop } = lingering()
    client.link.queuedBytes = 1_000
    assert.equal(after(100, 1), 67)
    stop()
  })

  it('is read for as long as it comes, up to 30 seconds', () => {
    const { after, stop } = lingering()
    assert.equal(after(40, 100_000), 31)
    stop()
  })

  it('is at most 256 MB', () => {
    const { after, stop } = lingering()
    assert.equal(after(20, 100_000_000), 3)
    stop()
  })
})
