/** The ACME flow against a CA that does everything wrong that a CA can do; what comes back is a checked chain or an IssueError. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { AccountStore } from '../../src/acme/account.ts'
import { type HttpClient, httpClient } from '../../src/acme/http.ts'
import { type AcmeIssuer, type AcmeOptions, acmeIssuer } from '../../src/acme/issue.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import type { Challenge, ChallengeKind, Solver } from '../../src/model/challenge.ts'
import { IssueError, type IssueOrder } from '../../src/model/issuer.ts'
import { testCa } from '../harness/certificates.ts'
import { type FakeAcme, fakeAcme } from '../harness/fake-acme.ts'

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const never = new AbortController().signal
const pace = { firstMs: 1, mostMs: 2_000 }

export const memoryStore = (): AccountStore & { text: string | null } => ({
  text: null,
  async load() {
    return this.text
  },
  async save(text) {
    this.text = text
  },
})

type Presented = Solver & { readonly up: Set<string>; readonly all: Challenge[] }

function solver(kind: ChallengeKind): Presented {
  const up = new Set<string>()
  const all: Challenge[] = []
  return {
    kind,
    up,
    all,
    fits: (_name, wildcard) => kind === 'dns-01' || !wildcard,
    async present(challenge) {
      all.push(challenge)
      up.add(challenge.keyAuthorization)
    },
    async remove(challenge) {
      up.delete(challenge.keyAuthorization)
    },
  }
}

let fake: FakeAcme
let http: HttpClient
let store: ReturnType<typeof memoryStore>
let solvers: Presented[]

beforeEach(async () => {
  fake = await fakeAcme()
  http = httpClient({ timeoutMs: 5_000 })
  store = memoryStore()
  solvers = [solver('http-01'), solver('dns-01')]
})

afterEach(async () => {
  http.close()
  await fake.close()
})

const issuer = (more: Partial<AcmeOptions> = {}): AcmeIssuer =>
  acmeIssuer({
    directory: fake.url,
    http,
    account: { store, email: 'ops@example.com', externalAccount: null },
    solvers,
    profile: null,
    preferredChain: null,
    deadlineMs: 20_000,
    pace,
    ...more,
  })

const orderFor = (names: readonly string[], more: Partial<IssueOrder> = {}, own: KeyObject = key): IssueOrder => ({
  names,
  csrDer: buildCsr(names, own),
  replaces: null,
  pending: null,
  progress: async () => {},
  ...more,
})

const fails = async (work: Promise<unknown>, kind: string, message: RegExp): Promise<IssueError> => {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    reason => reason,
  )
  assert.ok(error instanceof IssueError, String(error?.stack))
  assert.match(error.message, message)
  assert.equal(error.kind, kind, error.message)
  return error
}

const problem = (
  status: number,
  type: string,
  detail: string,
  headers: Record<string, string> = {},
  more = {},
) => ({
  status,
  headers,
  body: JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail, ...more }),
})

describe('an order', () => {
  test('from account to chain, with names, wildcard and address; answers are taken away', async () => {
    const names = ['shop.example.com', '*.example.com', '192.0.2.7']
    const pem = await issuer().issue(orderFor(names), never)
    const leaf = new X509Certificate(pem)
    assert.equal(leaf.subjectAltName, 'DNS:shop.example.com, DNS:*.example.com, IP Address:192.0.2.7')
    assert.equal(pem.match(/BEGIN CERTIFICATE/g)?.length, 2)
    const account = [...fake.accounts.values()][0]
    assert.deepEqual(account?.contact, ['mailto:ops@example.com'])
    assert.deepEqual(
      solvers.map(one => one.all.map(challenge => challenge.name).sort()),
      [['192.0.2.7', 'shop.example.com'], ['example.com']],
    )
    for (const one of solvers) assert.equal(one.up.size, 0)
    // The next one uses what is known: no directory, no account.
    const before = fake.seen.length
    await issuer().issue(orderFor(['again.example.com']), never)
    assert.deepEqual(
      fake.seen.slice(before).map(one => one.kind),
      ['directory', 'newNonce', 'newOrder', 'authz', 'challenge', 'authz', 'order', 'finalize', 'cert'],
    )
  })

  test('an authorization that is valid already is not proved again', async () => {
    const first = issuer()
    fake.script = ({ kind }) => {
      if (kind === 'authz') for (const one of fake.authz.values()) one.status = 'valid'
      return null
    }
    await first.issue(orderFor(['shop.example.com']), never)
    assert.equal(fake.count('challenge'), 0)
    assert.equal(solvers[0]?.all.length, 0)
  })

  test('one that is ready at once is finalized at once; one that is processing is waited for', async () => {
    fake.processingReads = 3
    await issuer().issue(orderFor(['shop.example.com']), never)
    assert.ok(fake.count('order') >= 3)
  })

  test('progress is told before anything else is done, and awaited', async () => {
    const order = orderFor(['shop.example.com'], {
      progress: async pending => {
        assert.equal(fake.seen.at(-1)?.kind, 'newOrder')
        assert.match(pending, /order\/\d+/)
        await new Promise(resolve => setImmediate(resolve))
        assert.equal(fake.seen.at(-1)?.kind, 'newOrder')
        throw new Error('the disk is full')
      },
    })
    await fails(issuer().issue(order, never), 'unavailable', /the disk is full/)
    assert.equal(fake.seen.at(-1)?.kind, 'newOrder')
  })

  test('a profile, and what is replaced', async () => {
    fake.directoryExtra = { meta: { profiles: { shortlived: 'six days', tlsserver: 'ninety' } } }
    fake.renewal = { status: 404, body: '' }
    const short = issuer({ profile: 'shortlived' })
    await short.issue(orderFor(['shop.example.com'], { replaces: 'aaa.bbb' }), never)
    const made = () => [...fake.orders.values()].at(-1)
    assert.deepEqual([made()?.profile, made()?.replaces], ['shortlived', 'aaa.bbb'])
    // Replaced once already: it goes without.
    await short.issue(orderFor(['shop.example.com'], { replaces: 'aaa.bbb' }), never)
    assert.equal(made()?.replaces, null)
    await fails(
      issuer({ profile: 'fast' }).issue(orderFor(['shop.example.com']), never),
      'rejected',
      /has no profile "fast": it offers shortlived, tlsserver/,
    )
  })

  test('a CA that fails over what is replaced gets the order without it; one that says when to come back does not', async () => {
    fake.renewal = { status: 404, body: '' }
    const wanted = orderFor(['shop.example.com'], { replaces: 'aaa.bbb' })
    let refused = 0
    const failing = (status: number, headers = {}) => {
      refused = 0
      fake.seen.length = 0
      fake.script = ({ kind }) =>
        kind === 'newOrder' && refused++ === 0
          ? problem(status, 'serverInternal', 'could not find an order for the given certificate', headers)
          : null
    }
    failing(500)
    await issuer().issue(wanted, never)
    assert.equal(fake.count('newOrder'), 2)
    assert.equal([...fake.orders.values()].at(-1)?.replaces, null)
    for (const [status, headers] of [[503], [500, { 'retry-after': '60' }]] as const) {
      failing(status, headers)
      await fails(issuer().issue(wanted, never), 'unavailable', /could not find an order/)
      assert.equal(fake.count('newOrder'), 1)
    }
  })

  test('without renewal information, `replaces` is not said', async () => {
    await issuer().issue(orderFor(['shop.example.com'], { replaces: 'aaa.bbb' }), never)
    assert.equal([...fake.orders.values()][0]?.replaces, null)
  })

  test('the preferred chain is taken where it is offered', async () => {
    fake.alternate = testCa('Other Root')
    const own = await issuer().issue(orderFor(['shop.example.com']), never)
    assert.match(new X509Certificate(own).issuer, /CN=Fake ACME CA/)
    const other = await issuer({ preferredChain: 'Other Root' }).issue(orderFor(['shop.example.com']), never)
    assert.match(new X509Certificate(other).issuer, /CN=Other Root/)
    const none = await issuer({ preferredChain: 'Nobody' }).issue(orderFor(['shop.example.com']), never)
    assert.match(new X509Certificate(none).issuer, /CN=Fake ACME CA/)
  })
})

describe('a CA that says no', () => {
  test('429 and 503 with Retry-After in seconds and as a date, by the clock of the CA', async () => {
    const wrongClock = Date.now() - 3_600_000
    for (const [status, headers, seconds, kind] of [
      [429, { 'retry-after': '120' }, 120, 'rate-limited'],
      [503, { 'retry-after': '30' }, 30, 'unavailable'],
      [429, { 'retry-after': new Date(Date.now() + 600_000).toUTCString() }, 600, 'rate-limited'],
      // Its clock is an hour behind ours: the wait counts, not the moment.
      [
        503,
        { 'retry-after': new Date(wrongClock + 600_000).toUTCString(), date: new Date(wrongClock).toUTCString() },
        600,
        'unavailable',
      ],
      // No CA may silence us for a year.
      [429, { 'retry-after': '31536000' }, 86_400, 'rate-limited'],
      [429, { 'retry-after': 'soon' }, null, 'rate-limited'],
    ] as const) {
      fake.script = ({ kind: at }) =>
        at === 'newOrder'
          ? problem(status, status === 429 ? 'rateLimited' : 'serverInternal', 'later', headers)
          : null
      const error = await fails(issuer().issue(orderFor(['shop.example.com']), never), kind, /newOrder: later/)
      if (seconds === null) assert.equal(error.retryAt, null)
      else
        assert.ok(Math.abs((error.retryAt as number) - Date.now() - seconds * 1000) < 5_000, `${status} ${seconds}`)
    }
  })

  test('subproblems name each name; text of a CA stays one short line', async () => {
    fake.script = ({ kind }) =>
      kind === 'newOrder'
        ? problem(
            403,
            'rejectedIdentifier',
            `no\r\n2026 fake log line ${'x'.repeat(5000)}`,
            {},
            {
              subproblems: [
                {
                  type: 'urn:ietf:params:acme:error:caa',
                  detail: 'CAA forbids',
                  identifier: { type: 'dns', value: 'a.example.com' },
                },
              ],
            },
          )
        : null
    const error = await fails(
      issuer().issue(orderFor(['a.example.com']), never),
      'rejected',
      /a\.example\.com: CAA forbids/,
    )
    assert.ok(!/[\r\n]/.test(error.message) && error.message.length < 700, error.message)
  })

  test('userActionRequired says where to go', async () => {
    fake.script = ({ kind }) =>
      kind === 'newOrder'
        ? problem(403, 'userActionRequired', 'new terms', {}, { instance: 'https://ca.example/agree' })
        : null
    await fails(
      issuer().issue(orderFor(['a.example.com']), never),
      'rejected',
      /visit https:\/\/ca\.example\/agree/,
    )
  })

  test('challenges that fail: every name with its reason, and the next kind has its turn with the next order', async () => {
    solvers = [solver('http-01'), solver('tls-alpn-01')]
    fake.validate = (name, kind) =>
      kind === 'http-01' ? { type: 'urn:ietf:params:acme:error:connection', detail: `cannot reach ${name}` } : null
    const one = issuer()
    const error = await fails(
      one.issue(orderFor(['a.example.com', 'b.example.com']), never),
      'challenge',
      /http-01 for a\.example\.com failed: cannot reach a\.example\.com \(connection\); the next try is by tls-alpn-01/,
    )
    assert.match(error.message, /cannot reach b\.example\.com/)
    for (const each of solvers) assert.equal(each.up.size, 0)
    await one.issue(orderFor(['a.example.com', 'b.example.com']), never)
    assert.equal(solvers[1]?.all.length, 2)
  })

  test('a challenge that never validates ends with the deadline, and is taken away', async () => {
    fake.validate = () => 'never'
    await fails(
      issuer({ deadlineMs: 300 }).issue(orderFor(['a.example.com']), never),
      'unavailable',
      /not done within 300ms/,
    )
    assert.equal(solvers[0]?.up.size, 0)
  })

  test('an order that goes invalid on its own', async () => {
    fake.script = ({ kind }) => {
      if (kind === 'finalize')
        for (const order of fake.orders.values())
          Object.assign(order, {
            status: 'invalid',
            error: { type: 'urn:ietf:params:acme:error:caa', detail: 'CAA changed' },
          })
      return kind === 'finalize' ? problem(403, 'orderNotReady', 'no') : null
    }
    await fails(
      issuer().issue(orderFor(['a.example.com']), never),
      'challenge',
      /the order is invalid: CAA changed \(caa\)/,
    )
  })

  test('no challenge fits', async () => {
    solvers = [solver('http-01')]
    await fails(issuer().issue(orderFor(['*.example.com']), never), 'rejected', /a wildcard needs dns-01/)
  })

  test('a proof for a name that was not ordered is refused', async () => {
    fake.script = ({ kind }) => {
      if (kind === 'authz') for (const one of fake.authz.values()) one.name = 'victim.example.net'
      return null
    }
    await fails(
      issuer().issue(orderFor(['a.example.com']), never),
      'unavailable',
      /victim\.example\.net, which was not ordered/,
    )
    assert.equal(solvers[0]?.all.length, 0)
  })

  test('a certificate for another key, or without a name, is not taken', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    fake.leafKey = () => createPublicKey(other.privateKey)
    await fails(issuer().issue(orderFor(['a.example.com']), never), 'wrong-certificate', /is for another key/)
    fake.leafKey = null
    fake.script = ({ kind }) => {
      if (kind === 'finalize') for (const order of fake.orders.values()) order.names = ['b.example.com']
      return null
    }
    await fails(issuer().issue(orderFor(['a.example.com']), never), 'wrong-certificate', /lacks a\.example\.com/)
  })
})

describe('answers that make no sense', () => {
  const garbage: [string, string | Buffer, Record<string, string>][] = [
    ['no JSON', '<html>It works!</html>', { 'content-type': 'text/html' }],
    ['an empty body', '', {}],
    ['a JSON array', '[]', {}],
    ['JSON of other shape', '{"status":7,"identifiers":"x","authorizations":[1],"challenges":{}}', {}],
    ['huge', Buffer.alloc(2 * 1024 * 1024, 'a'), {}],
    [
      'a URL that is not https',
      '{"status":"pending","identifiers":[],"authorizations":["http://192.0.2.1/"],"finalize":"file:///"}',
      {},
    ],
  ]
  for (const [what, body, headers] of garbage) {
    test(`${what}, at every step`, async () => {
      await issuer().issue(orderFor(['warm.example.com']), never)
      for (const kind of ['directory', 'newOrder', 'order', 'authz', 'finalize', 'cert'] as const) {
        fake.script = seen =>
          seen.kind === kind ? { status: kind === 'newOrder' ? 201 : 200, headers, body } : null
        await fails(issuer({ deadlineMs: 3_000 }).issue(orderFor(['a.example.com']), never), 'unavailable', /./)
      }
    })
  }

  test('a redirect is not followed', async () => {
    fake.script = ({ kind }) =>
      kind === 'directory' ? { status: 301, headers: { location: 'https://evil.example/' } } : null
    await fails(
      issuer().issue(orderFor(['a.example.com']), never),
      'rejected',
      /redirected to https:\/\/evil\.example\/, which is not/,
    )
  })

  test('a storm of bad nonces ends; a few do not matter', async () => {
    let left = 3
    fake.script = ({ kind }) => (kind === 'newOrder' && left-- > 0 ? problem(400, 'badNonce', 'stale') : null)
    await issuer().issue(orderFor(['a.example.com']), never)
    fake.script = ({ kind }) => (kind === 'newOrder' ? problem(400, 'badNonce', 'stale') : null)
    const before = fake.count('newOrder')
    await fails(
      issuer().issue(orderFor(['a.example.com']), never),
      'unavailable',
      /20 nonces in a row were refused/,
    )
    assert.equal(fake.count('newOrder') - before, 20)
  })

  test('when all nonces have grown old, one refusal is enough', async () => {
    const one = issuer()
    await one.issue(orderFor(['a.example.com', 'b.example.com', 'c.example.com', 'd.example.com']), never)
    fake.forgetNonces()
    const before = fake.count('newOrder')
    await one.issue(orderFor(['a.example.com']), never)
    assert.equal(fake.count('newOrder') - before, 2)
  })

  test('a nonce that is none is ignored', async () => {
    fake.script = ({ kind }) =>
      kind === 'newNonce' ? { status: 200, headers: { 'replay-nonce': 'not a nonce!' } } : null
    await fails(issuer().issue(orderFor(['a.example.com']), never), 'unavailable', /no usable Replay-Nonce/)
  })
})

describe('the network', () => {
  for (const reset of ['before', 'after'] as const) {
    test(`a connection reset ${reset} each request in turn: nothing is lost, and nothing ordered twice`, async () => {
      await issuer().issue(orderFor(['a.example.com']), never)
      const steps = fake.seen.length
      for (let at = 0; at < steps; at++) {
        fake.seen.length = 0
        fake.orders.clear()
        store = memoryStore()
        let pending: string | null = null
        let done = false
        const order = () => orderFor(['a.example.com'], { pending, progress: async text => void (pending = text) })
        fake.script = seen => (seen.index === at ? { reset } : null)
        let known = ''
        for (let tries = 0; tries < 4 && !done; tries++) {
          const kinds = fake.count('newOrder')
          const had = pending
          try {
            await issuer().issue(order(), never)
            done = true
          } catch (error) {
            assert.ok(error instanceof IssueError && error.kind === 'unavailable', String(error))
          }
          // Once progress knows of an order, no other is made.
          if (had !== null) assert.equal(fake.count('newOrder'), kinds, `step ${at}`)
          known = pending ?? known
        }
        assert.ok(done, `step ${at}`)
        for (const one of solvers) assert.equal(one.up.size, 0)
      }
    })
  }

  test('killed at every step and started again: one order, one certificate', async () => {
    await issuer().issue(orderFor(['a.example.com', '*.example.com']), never)
    const steps = fake.seen.length
    for (let at = 0; at < steps; at++) {
      fake.seen.length = 0
      fake.orders.clear()
      store = memoryStore()
      let pending: string | null = null
      const killed = new AbortController()
      fake.script = seen => {
        if (seen.index === at) killed.abort()
        return null
      }
      const order = () =>
        orderFor(['a.example.com', '*.example.com'], { pending, progress: async text => void (pending = text) })
      // Killed for good: not even what was being presented is taken away.
      await issuer()
        .issue(order(), killed.signal)
        .catch(error => assert.equal(error.kind, 'cancelled'))
      const had = pending
      fake.script = () => null
      await issuer().issue(order(), never)
      assert.equal(fake.orders.size, had === null && fake.orders.size === 2 ? 2 : 1, `step ${at}`)
      if (had !== null) assert.equal(fake.count('newOrder'), 1, `step ${at}`)
      assert.equal(new Set([...fake.accounts.keys()]).size > 0, true)
    }
  })

  test('a pending order that is gone, invalid, of another account or for other names is made anew', async () => {
    let pending = ''
    const keep = { progress: async (text: string) => void (pending = text) }
    fake.validate = () => ({ type: 'urn:ietf:params:acme:error:dns', detail: 'no' })
    await fails(issuer().issue(orderFor(['a.example.com'], keep), never), 'challenge', /no/)
    fake.validate = () => null
    await issuer().issue(orderFor(['a.example.com'], { pending }), never)
    assert.equal(fake.orders.size, 2)
    fake.orders.clear()
    await issuer().issue(orderFor(['a.example.com'], { pending }), never)
    await issuer().issue(orderFor(['a.example.com'], { pending: 'garbage' }), never)
    await issuer().issue(
      orderFor(['a.example.com'], { pending: pending.replace(/account\/\d+/, 'account/0') }),
      never,
    )
    await issuer().issue(orderFor(['a.example.com'], keep), never)
    const before = fake.count('newOrder')
    const valid = pending
    // Valid, and for the same key: only fetched again.
    await issuer().issue(orderFor(['a.example.com'], { pending }), never)
    assert.equal(fake.count('newOrder'), before)
    await issuer().issue(orderFor(['b.example.com'], { pending }), never)
    assert.equal(fake.count('newOrder'), before + 1)
    // Under way, and for other names.
    const cut = { progress: async (text: string) => Promise.reject(new Error((pending = text))) }
    await fails(issuer().issue(orderFor(['c.example.com'], cut), never), 'unavailable', /order/)
    await issuer().issue(orderFor(['d.example.com'], { pending }), never)
    assert.equal(fake.count('newOrder'), before + 3)
    pending = valid
    // Valid, and for a key that is lost.
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    await issuer().issue(orderFor(['a.example.com'], { pending }, other), never)
    assert.equal(fake.count('newOrder'), before + 4)
  })

  test('finalized twice: the second answer is no failure', async () => {
    let pending: string | null = null
    const order = () => orderFor(['a.example.com'], { pending, progress: async text => void (pending = text) })
    fake.script = ({ kind }) => (kind === 'finalize' ? { reset: 'after' } : null)
    await issuer().issue(order(), never)
    assert.equal(fake.count('finalize'), 1)
    assert.equal(fake.orders.size, 1)
  })

  test('cancelled in the middle of a wait', async () => {
    fake.validate = () => 'never'
    const end = new AbortController()
    fake.script = ({ kind }) => {
      if (kind === 'challenge') setImmediate(() => end.abort())
      return null
    }
    await fails(issuer().issue(orderFor(['a.example.com']), end.signal), 'cancelled', /cancelled/)
    assert.equal(solvers[0]?.up.size, 0)
    await fails(issuer().issue(orderFor(['a.example.com']), AbortSignal.abort()), 'cancelled', /cancelled/)
  })
})
