/** How long what a client still sends is thrown away: until it pauses, and no longer than is reasonable, in time and bytes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Deadlines } from '../../src/base/deadlines.ts'
import { Leftover } from '../../src/proxy/http1/leftover.ts'
import type { ConnectionPhase } from '../../src/proxy/seam/connection-phase.ts'
import type { Services } from '../../src/proxy/seam/services.ts'

function lingering() {
  let now = 1_000_000
  const deadlines = new Deadlines(() => now)
  const client = {
    phase: 'exchange' as ConnectionPhase,
    deadlineAt: Number.POSITIVE_INFINITY,
    watchIndex: -1,
    ended: false,
    link: { destroy: () => void (client.ended = true) },
    onDeadline: () => client.link.destroy(),
  }
  deadlines.watch(client)
  const leftover = new Leftover({ deadlines } as unknown as Services, client)
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
    assert.equal(after(4, 0), 2)
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
