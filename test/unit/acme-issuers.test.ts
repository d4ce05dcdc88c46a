/** Several CAs: who is asked next, who is left alone for a while, and that a failed challenge is tried at staging first. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { type Issuers, withFallback } from '../../src/acme/issuers.ts'
import { IssueError, type IssueFailure, type IssueOrder, type Issuer } from '../../src/model/issuer.ts'

const never = new AbortController().signal
let log: string[]
let calls: string[]
let now: number

type Fake = Issuer & {
  fails: IssueFailure | null
  retryAt: number | null
  pending: (string | null)[]
  window: boolean
}

function fake(name: string): Fake {
  const one: Fake = {
    name,
    fails: null,
    retryAt: null,
    pending: [],
    window: false,
    async issue(order) {
      calls.push(name)
      one.pending.push(order.pending)
      await order.progress(`order at ${name}`)
      if (one.fails !== null) throw new IssueError(one.fails, `${name} says ${one.fails}`, { retryAt: one.retryAt })
      return `chain of ${name}`
    },
    async renewal() {
      calls.push(`renewal ${name}`)
      if (one.fails !== null) throw new IssueError(one.fails, name)
      return one.window ? { start: 1, end: 2, askAgainAt: 3, explanation: name } : null
    },
    async revoke() {
      calls.push(`revoke ${name}`)
      if (one.fails !== null) throw new IssueError(one.fails, name)
    },
  }
  return one
}

let first: Fake
let second: Fake
let staging: Fake
let issuers: Issuers
let kept: string | null

beforeEach(() => {
  log = []
  calls = []
  now = 1_000_000
  kept = null
  first = fake('first')
  second = fake('second')
  staging = fake('staging')
  issuers = make()
})

const make = () =>
  withFallback(
    [
      { issuer: first, staging },
      { issuer: second, staging: null },
    ],
    text => log.push(text),
    () => now,
  )

const order = (names = ['a.test']): IssueOrder => ({
  names,
  csrDer: new Uint8Array(),
  replaces: null,
  pending: kept,
  progress: async text => void (kept = text),
})

const taken = (work: () => Promise<unknown>) => {
  calls.length = 0
  return work().then(
    () => calls.join(' '),
    error => `${calls.join(' ')} ${error.kind}`,
  )
}

describe('fall-back', () => {
  test('goes on where another CA may do better, and says so', async () => {
    for (const kind of ['unavailable', 'rate-limited', 'rejected', 'wrong-certificate'] as const) {
      issuers = make()
      first.fails = kind
      kept = null
      calls.length = 0
      const { chainPem, issuer } = await issuers.issueBy(order(), never)
      assert.deepEqual([chainPem, issuer.name, calls.join()], ['chain of second', 'second', 'first,second'])
      assert.equal(log.at(-1), `first says ${kind}; trying second`)
      let by = ''
      await make().issue({ ...order(), issuedBy: name => void (by = name) }, never)
      assert.equal(by, 'second')
    }
  })

  test('does not go on after a challenge that failed, or when cancelled', async () => {
    for (const kind of ['challenge', 'cancelled'] as const) {
      first.fails = kind
      kept = null
      assert.equal(await taken(() => make().issue(order(), never)), `first ${kind}`)
    }
  })

  test('leaves a CA alone until it may be asked again, for the same names', async () => {
    Object.assign(first, { fails: 'rate-limited', retryAt: now + 600_000 })
    await issuers.issue(order(), never)
    kept = null
    assert.equal(await taken(() => issuers.issue(order(), never)), 'second')
    kept = null
    assert.equal(await taken(() => issuers.issue(order(['b.test']), never)), 'first second')
    now += 600_001
    kept = null
    first.fails = null
    assert.equal(await taken(() => issuers.issue(order(), never)), 'first')
  })

  test('when none can: one error of all, for the time at which the first may be asked', async () => {
    Object.assign(first, { fails: 'rate-limited', retryAt: now + 600_000 })
    Object.assign(second, { fails: 'unavailable', retryAt: now + 60_000 })
    const error = await issuers.issue(order(), never).catch(reason => reason)
    assert.ok(error instanceof IssueError)
    assert.match(error.message, /first says rate-limited; second says unavailable/)
    assert.equal(error.retryAt, now + 60_000)
    kept = null
    // All are left alone: nobody is asked, and the error is the same.
    assert.equal(await taken(() => issuers.issue(order(), never)), ' rate-limited')
  })

  test('an order that is under way is finished where it is', async () => {
    first.fails = 'unavailable'
    second.fails = 'unavailable'
    await taken(() => issuers.issue(order(), never))
    assert.equal(JSON.parse(kept as string).issuer, 'second')
    first.fails = second.fails = null
    assert.equal(await taken(() => make().issue(order(), never)), 'second')
    assert.deepEqual(second.pending, [null, 'order at second'])
    kept = 'garbage'
    assert.equal(await taken(() => make().issue(order(), never)), 'first')
    assert.equal(first.pending.at(-1), null)
  })
})

describe('a trial at staging', () => {
  test('comes first after a failed challenge, also after a restart, until it succeeds', async () => {
    first.fails = staging.fails = 'challenge'
    assert.equal(await taken(() => issuers.issue(order(), never)), 'first challenge')
    assert.equal(await taken(() => issuers.issue(order(), never)), 'staging challenge')
    assert.equal(await taken(() => make().issue(order(), never)), 'staging challenge')
    // Other names have not failed.
    const before = kept
    kept = null
    assert.equal(await taken(() => issuers.issue(order(['b.test']), never)), 'first challenge')
    kept = before
    staging.fails = first.fails = null
    assert.equal(await taken(() => make().issue(order(), never)), 'staging first')
    assert.equal(JSON.parse(kept as string).trial, false)
    assert.equal(await taken(() => make().issue(order(), never)), 'first')
  })

  test('does not stand in the way when staging itself is down', async () => {
    first.fails = 'challenge'
    await taken(() => issuers.issue(order(), never))
    first.fails = null
    staging.fails = 'unavailable'
    assert.equal(await taken(() => issuers.issue(order(), never)), 'staging first')
    assert.equal(log.at(-1), 'no trial for a.test: staging says unavailable; trying first without one')
  })

  test('keeps nothing of its own order', async () => {
    first.fails = 'challenge'
    await taken(() => issuers.issue(order(), never))
    first.fails = null
    await issuers.issue(order(), never)
    assert.ok(!kept?.includes('staging'))
    assert.deepEqual(staging.pending, [null])
  })
})

describe('renewal and revocation', () => {
  test('are of whoever knows the certificate', async () => {
    second.window = true
    assert.equal((await issuers.renewal('a.b', never))?.explanation, 'second')
    first.fails = 'unavailable'
    assert.equal((await issuers.renewal('a.b', never))?.explanation, 'second')
    second.window = false
    await assert.rejects(issuers.renewal('a.b', never), /first/)
    assert.equal(await taken(() => issuers.revoke(new Uint8Array(), 0, never)), 'revoke first revoke second')
    second.fails = 'rejected'
    await assert.rejects(issuers.revoke(new Uint8Array(), 0, never), /first; second/)
    assert.equal(issuers.by('second'), second)
    assert.equal(issuers.by('third'), null)
  })
})
