/** Limits that several processes keep together: never exceeded, used up to the last unit, and given back by whoever ends. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SharedLimit } from '../../src/model/shared-limit.ts'
import type { ToSupervisor, ToWorker } from '../../src/process/channel.ts'
import { SupervisorShares, WorkerShares } from '../../src/process/shares.ts'

type Worker = {
  readonly number: number
  readonly shares: WorkerShares
  readonly limit: SharedLimit
  alive: boolean
}

/** A supervisor with workers, and a channel between them that delivers in a later turn, in order. */
function group(count: number) {
  let now = 0
  let messages = 0
  const deliver = (act: () => void) => {
    messages++
    setImmediate(act)
  }
  const supervisor = new SupervisorShares<Worker>((worker, message: ToWorker) =>
    deliver(() => {
      if (worker.alive) worker.shares.took(message as never)
    }),
  )
  const start = (number: number): Worker => {
    const shares = new WorkerShares((message: ToSupervisor) =>
      deliver(() => {
        if (worker.alive) supervisor.took(worker, message as never)
      }),
    )
    const worker: Worker = { number, shares, limit: new SharedLimit('connections', shares, () => now), alive: true }
    return worker
  }
  const workers = Array.from({ length: count }, (_, number) => start(number))
  return {
    workers,
    start,
    end: (worker: Worker) => {
      worker.alive = false
      supervisor.left(worker)
    },
    /** The pause after a refusal is over */
    later: () => {
      now += 1_000
    },
    messages: () => messages,
    used: () => workers.filter(({ alive }) => alive).reduce((sum, { limit }) => sum + limit.used, 0),
  }
}

/** Messages that are under way have arrived. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
}

describe('a limit that one process keeps', () => {
  it('is kept without asking anybody', () => {
    const limit = new SharedLimit('connections', null, () => 0)
    assert.deepEqual([limit.enter(2), limit.enter(2), limit.enter(2)], [true, true, false])
    limit.leave()
    assert.deepEqual([limit.enter(2), limit.enter(1)], [true, false])
  })
})

describe('a limit that processes keep together', () => {
  it('lets exactly as many in as there may be, wherever they come', async () => {
    for (const most of [1, 2, 7, 100, 1_000]) {
      const { workers, used, later } = group(3)
      let refused = 0
      // All at once at one worker, the rest at the others.
      for (const [worker, wanted] of [
        [workers[0], most - 1],
        [workers[1], 5],
        [workers[2], 5],
      ] as [Worker, number][]) {
        later()
        const entered = await Promise.all(Array.from({ length: wanted }, () => worker.limit.enter(most)))
        refused += entered.filter(each => !each).length
        await quiet()
      }
      assert.deepEqual([used(), refused], [most, 9], String(most))
    }
  })

  it('finds what another does not use before it refuses, and what was given back', async () => {
    const { workers, used, later } = group(2)
    const [one, two] = workers as [Worker, Worker]
    await Promise.all(Array.from({ length: 64 }, () => one.limit.enter(64)))
    assert.equal(await two.limit.enter(64), false)
    for (let count = 0; count < 3; count++) one.limit.leave()
    later()
    const entered = await Promise.all(Array.from({ length: 5 }, () => two.limit.enter(64)))
    assert.deepEqual([entered.filter(Boolean).length, used()], [3, 64])
  })

  it('costs few messages, and none for a flood that is refused', async () => {
    const { workers, messages } = group(2)
    const [one] = workers as [Worker]
    for (let count = 0; count < 10_000; count++) await one.limit.enter(10_000)
    const filled = messages()
    assert.ok(filled < 400, `${filled} messages`)
    for (let count = 0; count < 10_000; count++) assert.equal(await one.limit.enter(10_000), false)
    assert.ok(messages() - filled < 10, `${messages() - filled} messages`)
    for (let count = 0; count < 10_000; count++) one.limit.leave()
    assert.ok(messages() - filled < 400)
  })

  it('has what a process that ended held, also in the middle of a question', async () => {
    const { workers, end, start, later, used } = group(2)
    const [one, two] = workers as [Worker, Worker]
    await Promise.all(Array.from({ length: 10 }, () => one.limit.enter(10)))
    const asking = two.limit.enter(10)
    end(one)
    assert.equal(await asking, true)
    later()
    await Promise.all(Array.from({ length: 9 }, () => two.limit.enter(10)))
    await quiet()
    const three = start(3)
    assert.deepEqual([await three.limit.enter(10), used()], [false, 10])
  })

  it('follows a reload, down and up', async () => {
    const { workers, later } = group(2)
    const [one, two] = workers as [Worker, Worker]
    for (let count = 0; count < 4; count++) assert.equal(await one.limit.enter(8), true)
    assert.equal(await two.limit.enter(3), false)
    assert.equal(await one.limit.enter(3), false)
    later()
    assert.equal(await two.limit.enter(5), true)
    later()
    assert.deepEqual([await two.limit.enter(5), await one.limit.enter(5)], [false, false])
  })

  it('goes on without a supervisor that answers', async () => {
    let answer: (units: number) => void = () => {}
    const given: number[] = []
    const source = {
      take: () =>
        new Promise<number>(resolve => {
          answer = resolve
        }),
      give: (_key: string, units: number) => given.push(units),
      recalls: () => {},
    }
    const limit = new SharedLimit('connections', source, () => 0, 5)
    assert.deepEqual(await Promise.all([limit.enter(100), limit.enter(100), limit.enter(100)]), [true, true, true])
    // What comes in the end is not needed for them.
    answer(3)
    await quiet()
    assert.deepEqual(given, [3])
  })

  it('is never exceeded by any order of coming, going and ending', async () => {
    let seed = 7
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
      return seed % below
    }
    const most = 20
    const { workers, start, end, later, used } = group(4)
    const pending: Promise<unknown>[] = []
    for (let step = 0; step < 3_000; step++) {
      const at = random(workers.length)
      const worker = workers[at] as Worker
      const kind = random(100)
      if (kind < 55) pending.push(Promise.resolve(worker.limit.enter(most)))
      else if (kind < 95 && worker.limit.used > 0) worker.limit.leave()
      else if (kind === 99) {
        end(worker)
        workers[at] = start(step)
      }
      if (random(4) === 0) later()
      if (random(3) === 0) await new Promise(resolve => setImmediate(resolve))
      assert.ok(used() <= most, `${used()} after ${step} steps`)
    }
    await quiet()
    // And nothing was lost on the way: it can still be filled to the last unit.
    for (const worker of workers) while (worker.limit.used > 0) worker.limit.leave()
    await quiet()
    later()
    const [one] = workers as [Worker]
    const entered = await Promise.all(Array.from({ length: most + 5 }, () => one.limit.enter(most)))
    assert.equal(entered.filter(Boolean).length, most)
  })
})
