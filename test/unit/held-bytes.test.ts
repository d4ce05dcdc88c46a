/** What waits for a peer is counted by what it keeps in memory, and keeps no more than about twice its length. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ProxyError } from '../../src/base/errors.ts'
import { HeldBytes } from '../../src/base/held-bytes.ts'
import { MemoryBudget, Share } from '../../src/base/memory-budget.ts'

const noOne = { remoteAddress: '', overBudget() {} }
const unlimited = () => new MemoryBudget(Number.POSITIVE_INFINITY, () => {})

function holder(): { held: HeldBytes; share: Share; budget: MemoryBudget } {
  const budget = unlimited()
  const share = new Share(budget, noOne)
  return { held: new HeldBytes(share), share, budget }
}

/** What is held, read the way a link sends it: `step` bytes at a time. */
function drained(held: HeldBytes, step: number): Buffer {
  const parts: Buffer[] = []
  while (held.length > 0) {
    const take = Math.min(step, held.to - held.from)
    parts.push(Buffer.from(held.bytes.subarray(held.from, held.from + take)))
    held.drop(take)
  }
  return Buffer.concat(parts)
}

function pieces(seed: number, count: number, most: number): Buffer[] {
  let state = seed
  const next = () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return state
  }
  return Array.from({ length: count }, () => Buffer.alloc(1 + (next() % most), next() & 0xff))
}

describe('bytes that are held', () => {
  for (const [name, most] of [
    ['one byte each', 1],
    ['small', 500],
    ['large', 30_000],
  ] as const) {
    test(`come out in order, whatever is taken at a time: ${name}`, () => {
      for (const step of [1, 7, 1000, Number.POSITIVE_INFINITY]) {
        const { held, budget } = holder()
        const all = pieces(7, 300, most)
        for (const [at, piece] of all.entries()) {
          if (at % 2 === 0) held.add(piece)
          else held.copy(piece)
        }
        const whole = Buffer.concat(all)
        assert.equal(held.length, whole.length)
        assert.ok(budget.total >= held.length)
        if (whole.length < 100_000 || step > 1) assert.deepEqual(drained(held, step), whole)
        else held.clear()
        assert.equal(held.length, 0)
        assert.equal(held.pinned, 0)
        assert.equal(budget.total, 0)
      }
    })
  }

  test('may be added to while they are taken', () => {
    const { held, budget } = holder()
    const out: Buffer[] = []
    const all = pieces(3, 2_000, 900)
    for (const piece of all) {
      held.add(piece)
      if (held.length < 4_000) continue
      const take = Math.min(3_000, held.to - held.from)
      out.push(Buffer.from(held.bytes.subarray(held.from, held.from + take)))
      held.drop(take)
    }
    out.push(drained(held, 999))
    assert.deepEqual(Buffer.concat(out), Buffer.concat(all))
    assert.equal(budget.total, 0)
  })

  test('one byte of each buffer of 48 kB keeps none of them', () => {
    const { held } = holder()
    for (let at = 0; at < 10_000; at++) held.add(Buffer.allocUnsafeSlow(49_152), 17, 18)
    assert.equal(held.length, 10_000)
    assert.ok(held.pinned < 30_000, `${held.pinned} bytes for 10,000`)
  })

  test('a first small piece is kept as it is only where its buffer is small', () => {
    const small = holder()
    const request = Buffer.allocUnsafeSlow(600)
    small.held.add(request, 500, 600)
    assert.equal(small.held.bytes, request)
    const large = holder()
    large.held.add(Buffer.allocUnsafeSlow(65_536).subarray(100, 200))
    assert.ok(large.held.pinned < 1_024)
  })

  test('a range of at least half its buffer is not copied', () => {
    const { held } = holder()
    const chunk = Buffer.allocUnsafeSlow(16_384)
    held.add(chunk, 8_000)
    assert.equal(held.bytes, chunk)
    assert.ok(held.pinned >= 16_384)
  })

  test('what was copied is not changed with its source', () => {
    const { held } = holder()
    const reused = Buffer.from('first')
    held.copy(reused)
    reused.write('later')
    held.copy(reused)
    assert.equal(held.take().toString(), 'firstlater')
    assert.equal(held.length, 0)
  })
})

describe('the budget of a process', () => {
  /** Connections whose holders end with them, as links do. */
  function connection(budget: MemoryBudget, ended: string[], name: string) {
    const held: HeldBytes[] = []
    const share = new Share(budget, {
      remoteAddress: name,
      overBudget(error: ProxyError) {
        ended.push(`${name} ${error.code}`)
        for (const each of held) each.clear()
      },
    })
    return (bytes: number) => {
      const each = new HeldBytes(share)
      held.push(each)
      each.copy(Buffer.alloc(bytes))
    }
  }

  test('ends the connection that holds most, until all hold little enough', async () => {
    const ended: string[] = []
    const told: string[] = []
    const budget = new MemoryBudget(100_000, (address, error) => told.push(`${address} ${error.code}`))
    const hold = new Map(['a', 'b', 'c', 'd'].map(name => [name, connection(budget, ended, name)]))
    hold.get('a')?.(30_000)
    hold.get('b')?.(20_000)
    hold.get('b')?.(20_000)
    hold.get('c')?.(10_000)
    await Promise.resolve()
    assert.deepEqual(ended, [])
    hold.get('d')?.(80_000)
    hold.get('c')?.(5_000)
    assert.deepEqual(ended, [], 'nobody is ended in the middle of its work')
    await Promise.resolve()
    assert.deepEqual(ended, ['d MEMORY_BUDGET'])
    assert.deepEqual(told, ended)
    assert.ok(budget.total < 100_000)
    hold.get('c')?.(40_000)
    await Promise.resolve()
    assert.deepEqual(ended, ['d MEMORY_BUDGET', 'c MEMORY_BUDGET'])
    assert.equal(budget.ended, 2)
  })

  test('a connection that is gone counts nothing, and cannot be taken from twice', async () => {
    const ended: string[] = []
    const budget = new MemoryBudget(10_000, () => {})
    const hold = connection(budget, ended, 'a')
    hold(20_000)
    await Promise.resolve()
    assert.equal(budget.total, 0)
    hold(5_000)
    assert.equal(budget.total, 0)
    assert.deepEqual(ended, ['a MEMORY_BUDGET'])
  })
})
