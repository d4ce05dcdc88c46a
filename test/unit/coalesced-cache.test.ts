/** What strangers may ask for as often as they like is made once for all of them, and costs a tenth of the time at most. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CoalescedCache } from '../../src/control/coalesced-cache.ts'

describe('sparing', () => {
  it('makes once for all who ask at the same time', async () => {
    let made = 0
    let finish = (_: number) => {}
    const sparing = new CoalescedCache(() => {
      made++
      return new Promise<number>(resolve => (finish = resolve))
    })
    const asked = [sparing.get(), sparing.get(), sparing.get()]
    finish(7)
    assert.deepEqual(await Promise.all(asked), [7, 7, 7])
    assert.equal(made, 1)
  })

  it('gives the same again for ten times as long as it took, and then makes anew', async () => {
    const spinMs = 3
    let made = 0
    let startedAt = 0
    const sparing = new CoalescedCache(async () => {
      startedAt = performance.now()
      while (performance.now() - startedAt < spinMs);
      return ++made
    })
    const before: number[] = []
    for (let last = 0; last < 4; ) {
      const value = await sparing.get()
      if (value !== last) before.push(startedAt)
      last = value
      await new Promise(resolve => setImmediate(resolve))
    }
    for (let at = 1; at < before.length; at++)
      assert.ok((before[at] as number) - (before[at - 1] as number) >= 11 * spinMs - 0.5, before.join())
  })

  it('does not keep a failure', async () => {
    let tries = 0
    const sparing = new CoalescedCache(async () => {
      if (++tries === 1) throw new Error('first')
      return 'second'
    })
    await assert.rejects(sparing.get(), /first/)
    assert.equal(await sparing.get(), 'second')
  })
})
