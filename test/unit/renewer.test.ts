import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type KeeperOptions, Renewer } from '../../src/certs/managed/renewer.ts'
import { IssueError } from '../../src/model/issuer.ts'
import { StorageError } from '../../src/model/storage.ts'
import { FakeIssuer } from '../harness/fake-issuer.ts'
import { MemoryStorage } from '../harness/memory-storage.ts'
import { until } from '../harness/until.ts'

const day = 86_400_000

class Bench {
  time = Date.UTC(2026, 5, 1)
  readonly storage = new MemoryStorage()
  readonly issuer = new FakeIssuer('https://ca.test/dir', () => this.time)
  readonly log: { level: string; message: string; fields: Record<string, unknown> }[] = []
  readonly renewers: Renewer[] = []
  readonly alarms: string[] = []

  renewer(overrides: Partial<KeeperOptions> = {}): Renewer {
    const renewer = new Renewer({
      storage: this.storage,
      issuer: this.issuer,
      keys: ['ecdsa'],
      renewBeforeMs: null,
      log: (level, message, fields) => void this.log.push({ level, message, fields }),
      now: () => this.time,
      random: () => 0.5,
      failed: failure => void this.alarms.push(failure.why),
      ...overrides,
    })
    this.renewers.push(renewer)
    return renewer
  }

  /** One that keeps `name`, and orders. */
  async begun(name: string): Promise<Renewer> {
    const renewer = this.renewer()
    await renewer.keep([name])
    renewer.begin()
    return renewer
  }

  said(message: string): Record<string, unknown> | undefined {
    return this.log.findLast(line => line.message === message)?.fields
  }

  record(name: string): Record<string, unknown> | null {
    const found = this.storage.values.get(name)
    return found === undefined ? null : JSON.parse(found.value.toString())
  }
}

function bench(act: (b: Bench) => Promise<void>): () => Promise<void> {
  return async () => {
    const b = new Bench()
    try {
      await act(b)
    } finally {
      for (const renewer of b.renewers) await renewer.stop()
    }
  }
}

async function kept(renewer: Renewer, name = 'shop.test') {
  await until(() => (renewer.bundles(name) ?? []).length > 0)
  return renewer.bundles(name)!
}

/** Lets the renewer look at what is due now. */
async function wake(b: Bench, renewer: Renewer, later: number): Promise<void> {
  b.time += later
  renewer.begin()
}

describe('a name that is kept', () => {
  test(
    'is ordered, stored, and found again by the next process without another order',
    bench(async b => {
      const renewer = b.renewer()
      await renewer.keep(['shop.test'])
      assert.equal(renewer.bundles('shop.test'), null)
      renewer.begin()
      const [bundle] = await kept(renewer)
      assert.deepEqual(bundle!.names, ['shop.test'])
      await until(() => b.record('pending/shop.test.ecdsa') === null)
      await renewer.stop()
      const next = b.renewer()
      await next.keep(['shop.test'])
      assert.equal(next.bundles('shop.test')![0]!.fingerprint256, bundle!.fingerprint256)
      next.begin()
      await until(() => b.issuer.asked > 0)
      assert.equal(b.issuer.orders.length, 1)
    }),
  )

  test(
    'has an RSA certificate beside the ECDSA one on request, and a wildcard is one too',
    bench(async b => {
      const renewer = b.renewer({ keys: ['ecdsa', 'rsa'] })
      await renewer.keep(['*.shop.test'])
      renewer.begin()
      await until(() => renewer.bundles('*.shop.test')?.length === 2)
      assert.deepEqual(
        renewer.bundles('*.shop.test')!.map(bundle => bundle.keyType),
        ['ecdsa', 'rsa'],
      )
      assert.ok(b.record('certificates/_wildcard.shop.test.rsa'))
    }),
  )

  test(
    'is ordered anew once where the issuer is another, and two processes that disagree do not order against each other',
    bench(async b => {
      await kept(await b.begun('shop.test'))
      const other = new FakeIssuer('https://other.test/dir', () => b.time)
      const second = b.renewer({ issuer: other })
      await second.keep(['shop.test'])
      second.begin()
      await until(() => b.said('a process with another issuer has replaced a certificate') !== undefined)
      for (let round = 0; round < 20; round++) {
        for (const renewer of b.renewers) await wake(b, renewer, day / 4)
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.deepEqual([b.issuer.orders.length, other.orders.length], [1, 1])
      for (const renewer of b.renewers) assert.equal(renewer.bundles('shop.test')?.[0]?.source, other.name)
    }),
  )

  test(
    'is shown and told of by the name of the fall-back that has issued it',
    bench(async b => {
      b.issuer.during = order => order.issuedBy?.('https://fallback.test/dir')
      const [bundle] = await kept(await b.begun('shop.test'))
      assert.equal(bundle?.source, 'https://fallback.test/dir')
      await until(() => b.said('certificate obtained') !== undefined)
      assert.equal(b.said('certificate obtained')?.['issuer'], 'https://fallback.test/dir')
      // It is as good as one of the first: nothing is ordered because of it.
      const again = b.renewer()
      await again.keep(['shop.test'])
      again.begin()
      await until(() => b.issuer.asked > 1)
      assert.equal(again.bundles('shop.test')?.[0]?.source, 'https://fallback.test/dir')
      assert.equal(b.issuer.orders.length, 1)
    }),
  )

  test(
    'is renewed with a third of its life left, telling the issuer which one is replaced; the old one serves meanwhile',
    bench(async b => {
      const renewer = await b.begun('shop.test')
      const [first] = await kept(renewer)
      let release = () => {}
      b.issuer.during = () => new Promise<void>(resolve => (release = resolve))
      await wake(b, renewer, 61 * day)
      await until(() => b.issuer.orders.length === 2)
      assert.equal(renewer.bundles('shop.test')![0], first)
      assert.match(b.issuer.orders[1]!.replaces!, /^[\w-]+\.[\w-]+$/)
      release()
      await until(() => renewer.bundles('shop.test')![0] !== first)
    }),
  )

  test(
    'is renewed when the issuer says so, and the moment is drawn once for all processes',
    bench(async b => {
      b.issuer.window = {
        start: b.time + day,
        end: b.time + 3 * day,
        askAgainAt: b.time + day / 4,
        explanation: null,
      }
      const renewer = b.renewer()
      const other = b.renewer({ random: () => 0.9 })
      await renewer.keep(['shop.test'])
      renewer.begin()
      await kept(renewer)
      await until(() => b.record('renewals/shop.test.ecdsa') !== null)
      assert.equal(b.record('renewals/shop.test.ecdsa')!['renewAt'], b.issuer.window.start + day)
      await other.keep(['shop.test'])
      other.begin()
      await wake(b, other, day / 2)
      await until(() => b.issuer.asked >= 2)
      assert.equal(b.record('renewals/shop.test.ecdsa')!['renewAt'], b.issuer.window.start + day)
      await wake(b, renewer, 15 * day)
      await until(() => b.issuer.orders.length === 2)
    }),
  )

  test(
    'comes from the new issuer after a change of it, while the old certificate serves',
    bench(async b => {
      const renewer = await b.begun('shop.test')
      const [old] = await kept(renewer)
      await renewer.stop()
      const another = new FakeIssuer('https://other.test/dir', () => b.time)
      const next = b.renewer({ issuer: another })
      await next.keep(['shop.test'])
      assert.equal(next.bundles('shop.test')![0]!.fingerprint256, old!.fingerprint256)
      next.begin()
      await until(() => next.bundles('shop.test')![0]!.fingerprint256 !== old!.fingerprint256)
    }),
  )
})

test(
  'keys of one name are ordered one after the other, in any process: a tls-alpn-01 challenge has one answer for a name',
  bench(async b => {
    let now = 0
    b.issuer.during = async () => {
      assert.equal(++now, 1)
      await new Promise(resolve => setTimeout(resolve, 5))
      now--
    }
    const renewers = [b.renewer({ keys: ['ecdsa', 'rsa'] }), b.renewer({ keys: ['ecdsa', 'rsa'] })]
    for (const renewer of renewers) await renewer.keep(['shop.test'])
    for (const renewer of renewers) renewer.begin()
    await until(() => renewers.every(renewer => renewer.bundles('shop.test')?.length === 2))
    assert.equal(b.issuer.orders.length, 2)
  }),
)

describe('on a bad day', () => {
  test(
    'two processes make one order, and the other has the certificate within a moment',
    bench(async b => {
      const renewers = [b.renewer(), b.renewer(), b.renewer()]
      await Promise.all(renewers.map(renewer => renewer.keep(['shop.test'])))
      for (const renewer of renewers) renewer.begin()
      const prints = new Set<string>()
      for (const renewer of renewers) prints.add((await kept(renewer))[0]!.fingerprint256)
      assert.equal(prints.size, 1)
      assert.equal(b.issuer.orders.length, 1)
    }),
  )

  test(
    'a failure keeps the old certificate, says why and when it goes on, and survives a restart',
    bench(async b => {
      const renewer = await b.begun('shop.test')
      const [old] = await kept(renewer)
      b.issuer.during = () => {
        throw new IssueError('rate-limited', 'too many certificates', { retryAt: b.time + 7 * 3_600_000 })
      }
      await wake(b, renewer, 61 * day)
      await until(() => b.record('failures/shop.test.ecdsa') !== null)
      assert.equal(renewer.bundles('shop.test')![0], old)
      const said = b.said('no new certificate')!
      assert.equal(said['why'], 'too many certificates')
      assert.equal(said['servesUntil'], new Date(old!.notAfter).toISOString())
      assert.equal(said['next'], new Date(b.time + 7 * 3_600_000 + 2_500).toISOString())
      await renewer.stop()
      const next = b.renewer()
      await next.keep(['shop.test'])
      b.issuer.during = () => {}
      next.begin()
      assert.equal(next.problem('shop.test'), 'too many certificates')
      assert.equal(b.issuer.orders.length, 2)
      await wake(b, next, 8 * 3_600_000)
      await until(() => b.issuer.orders.length === 3)
      await until(() => next.bundles('shop.test')![0]!.fingerprint256 !== old!.fingerprint256)
      assert.equal(next.problem('shop.test'), null)
      await until(() => b.record('failures/shop.test.ecdsa') === null)
    }),
  )

  test(
    'failures that do not go away raise an alarm: at once where there is nothing, else with the third and every tenth',
    bench(async b => {
      const renewer = await b.begun('shop.test')
      await kept(renewer)
      b.issuer.during = () => {
        throw new IssueError('unavailable', 'the CA is down')
      }
      await wake(b, renewer, 61 * day)
      for (let tries = 2; tries <= 12; tries++) {
        await until(() => b.record('failures/shop.test.ecdsa')?.['count'] === tries - 1)
        await wake(b, renewer, 8 * 3_600_000)
      }
      assert.deepEqual(
        b.alarms.map(alarm => /tried (\d+) times/.exec(alarm)?.[1]),
        ['3', '10'],
      )
      const fresh = b.renewer()
      await fresh.keep(['new.test'])
      fresh.begin()
      await until(() => b.alarms.some(alarm => /the CA is down; tried 1 times/.test(alarm)))
    }),
  )

  for (const [what, garble, pattern] of [
    ['garbage', () => 'no certificate at all', /holds no PEM certificate/],
    ['a chain for another key', (pem: string) => other() + pem, /does not belong|number 2/],
    ['half a certificate', (pem: string) => pem.slice(0, 200), /cut off/],
  ] as const) {
    test(
      `${what} is not taken, and the next order has another key`,
      bench(async b => {
        const renewer = b.renewer()
        b.issuer.garble = garble
        await renewer.keep(['shop.test'])
        renewer.begin()
        await until(() => b.record('failures/shop.test.ecdsa') !== null)
        assert.match(String(b.said('no new certificate')!['why']), pattern)
        assert.equal(renewer.bundles('shop.test'), null)
        await until(() => b.record('pending/shop.test.ecdsa') === null)
        b.issuer.garble = pem => pem
        await wake(b, renewer, 120_000)
        await kept(renewer)
        assert.notDeepEqual(b.issuer.orders[0]!.csrDer, b.issuer.orders[1]!.csrDer)
      }),
    )
  }

  test(
    'a process that dies in an order is followed by one that takes the same order up with the same key',
    bench(async b => {
      const renewer = b.renewer()
      b.issuer.during = async (order, signal) => {
        await order.progress('order 7')
        await new Promise(resolve => signal.addEventListener('abort', resolve))
      }
      await renewer.keep(['shop.test'])
      renewer.begin()
      await until(() => b.record('pending/shop.test.ecdsa')?.['progress'] === 'order 7')
      await renewer.stop()
      await until(() => b.record('failures/shop.test.ecdsa') === null)
      b.issuer.during = () => {}
      const next = b.renewer()
      await next.keep(['shop.test'])
      next.begin()
      await until(() => b.issuer.orders.length === 2)
      await kept(next)
      assert.equal(b.issuer.orders[0]!.pending, null)
      assert.equal(b.issuer.orders[1]!.pending, 'order 7')
    }),
  )

  test(
    'a full disk: the new certificate serves from memory, and is put when there is room',
    bench(async b => {
      const renewer = b.renewer()
      b.storage.before = (operation, key) => {
        if (operation === 'put' && key.startsWith('certificates/')) throw new StorageError('full', 'no space left')
      }
      await renewer.keep(['shop.test'])
      renewer.begin()
      const [bundle] = await kept(renewer)
      await until(() => b.said('a new certificate cannot be stored') !== undefined)
      assert.equal(renewer.problem('shop.test'), 'not in storage: no space left')
      b.storage.before = () => {}
      await wake(b, renewer, 61_000)
      await until(() => b.record('certificates/shop.test.ecdsa') !== null)
      assert.equal(b.issuer.orders.length, 1)
      await until(() => renewer.problem('shop.test') === null)
      assert.equal(renewer.bundles('shop.test')![0], bundle)
    }),
  )

  test(
    'storage that is away at the start and returns: the certificate is found, and none is ordered',
    bench(async b => {
      const first = b.renewer()
      await first.keep(['shop.test'])
      first.begin()
      await kept(first)
      await first.stop()
      b.storage.before = () => {
        throw new StorageError('away', 'redis is away')
      }
      const renewer = await b.begun('shop.test')
      assert.equal(renewer.problem('shop.test'), 'redis is away')
      await until(() => b.said('storage fails; there is no certificate yet') !== undefined)
      b.storage.before = () => {}
      await wake(b, renewer, 60_000)
      await kept(renewer)
      assert.equal(b.issuer.orders.length, 1)
    }),
  )

  test(
    'storage that is away at the start, with a copy of the certificates alone: they serve',
    bench(async b => {
      const first = b.renewer()
      await first.keep(['shop.test'])
      first.begin()
      await kept(first)
      await first.stop()
      b.storage.before = (_, key) => {
        if (!key.startsWith('certificates/')) throw new StorageError('away', 'redis is away')
      }
      const renewer = b.renewer()
      await renewer.keep(['shop.test'])
      assert.equal(renewer.bundles('shop.test')!.length, 1)
      assert.equal(renewer.problem('shop.test'), null)
      assert.equal(b.said('a certificate cannot be loaded from storage'), undefined)
    }),
  )

  test(
    'a process that dies after it has got the certificate leaves an order that brings no renewal, and is not taken up',
    bench(async b => {
      b.issuer.lifetimeMs = 6 * day
      const renewer = b.renewer()
      await renewer.keep(['shop.test'])
      b.issuer.during = order => order.progress('order 1')
      renewer.begin()
      let pending: Buffer | null = null
      b.storage.before = (operation, key) => {
        if (operation === 'delete' && key.startsWith('pending/')) pending = b.storage.values.get(key)!.value
      }
      await kept(renewer)
      await until(() => pending !== null && b.record('pending/shop.test.ecdsa') === null)
      await renewer.stop()
      b.storage.values.set('pending/shop.test.ecdsa', { value: pending!, until: Number.POSITIVE_INFINITY })
      b.time += 5 * day
      const next = b.renewer()
      await next.keep(['shop.test'])
      next.begin()
      await until(() => b.issuer.orders.length === 2)
      assert.equal(b.issuer.orders[1]!.pending, null)
    }),
  )

  test(
    'storage that goes away between an order and the note of it: no failure of the issuer, and no second order',
    bench(async b => {
      const renewer = b.renewer()
      b.issuer.during = async order => {
        if (order.pending !== null) return
        b.storage.away = true
        // As issuers do: whatever is thrown becomes an IssueError.
        await order.progress('order 7').catch(error => {
          throw new IssueError('unavailable', String(error))
        })
      }
      await renewer.keep(['shop.test'])
      renewer.begin()
      await until(() => b.said('storage fails; there is no certificate yet') !== undefined)
      assert.equal(b.said('no new certificate'), undefined)
      b.storage.away = false
      await wake(b, renewer, 60_000)
      await kept(renewer)
      assert.deepEqual(
        b.issuer.orders.map(order => order.pending),
        [null, 'order 7'],
      )
    }),
  )

  test(
    'storage that has lost everything gets the certificate back from memory, and nothing is ordered',
    bench(async b => {
      const [renewer, other] = [b.renewer(), b.renewer()]
      for (const each of [renewer, other]) {
        await each.keep(['shop.test'])
        each.begin()
        await kept(each)
      }
      await until(() => b.record('pending/shop.test.ecdsa') === null)
      b.storage.values.clear()
      for (const each of [renewer, other])
        await (each as unknown as { noticed(key: null): Promise<void> }).noticed(null)
      await until(() => b.record('certificates/shop.test.ecdsa') !== null)
      await until(() => renewer.problem('shop.test') === null && other.problem('shop.test') === null)
      assert.equal(b.issuer.orders.length, 1)
      assert.equal(b.log.filter(line => line.message === 'certificate stored').length, 1)
    }),
  )

  test(
    'a problem of storage is over when storage is back',
    bench(async b => {
      const renewer = await b.begun('shop.test')
      await kept(renewer)
      await until(() => b.issuer.asked > 0)
      b.storage.away = true
      await wake(b, renewer, 61 * day)
      await until(() => /away/.test(renewer.problem('shop.test') ?? ''))
      b.storage.away = false
      b.time -= 61 * day
      await wake(b, renewer, 0)
      b.time += 61 * day
      await wake(b, renewer, 60_000)
      await until(() => renewer.problem('shop.test') === null)
    }),
  )

  test(
    'a value that the storage itself finds damaged is set aside and made anew',
    bench(async b => {
      b.storage.before = (operation, key) => {
        if (operation === 'get' && key.startsWith('certificates/') && b.storage.aside.length === 0)
          throw new StorageError('damaged', 'it does not authenticate')
      }
      const renewer = await b.begun('shop.test')
      await kept(renewer)
      assert.deepEqual(b.storage.aside, ['certificates/shop.test.ecdsa'])
    }),
  )

  for (const key of ['certificates', 'pending', 'failures', 'renewals']) {
    test(
      `half a value under ${key} is set aside, reported, and made anew`,
      bench(async b => {
        const bytes = Buffer.from('{"version":1,"chai')
        b.storage.values.set(`${key}/shop.test.ecdsa`, { value: bytes, until: Number.POSITIVE_INFINITY })
        const renewer = await b.begun('shop.test')
        await kept(renewer)
        await until(() => b.storage.aside.length === 1)
        assert.ok(b.log.some(line => line.level === 'error' && /damaged/.test(line.message)))
      }),
    )
  }
})

test(
  'renewal on request orders at once, and says what went wrong',
  bench(async b => {
    const renewer = await b.begun('shop.test')
    const [old] = await kept(renewer)
    const [fresh] = await renewer.renew('shop.test')
    assert.notEqual(fresh!.fingerprint256, old!.fingerprint256)
    b.issuer.during = () => {
      throw new IssueError('rejected', 'the account is closed')
    }
    await assert.rejects(renewer.renew('shop.test'), /the account is closed/)
    await assert.rejects(renewer.renew('other.test'), /no certificate that is kept here/)
    assert.equal(renewer.bundles('shop.test')![0], fresh)
  }),
)

test(
  'many names at once: no more than four orders are under way',
  bench(async b => {
    let most = 0
    let now = 0
    b.issuer.during = async () => {
      most = Math.max(most, ++now)
      await new Promise(setImmediate)
      now--
    }
    const renewer = b.renewer()
    const names = Array.from({ length: 40 }, (_, at) => `n${at}.test`)
    await renewer.keep(names)
    renewer.begin()
    await until(() => names.every(name => (renewer.bundles(name) ?? []).length === 1))
    assert.equal(most, 4)
  }),
)

/** A certificate of somebody else. */
function other(): string {
  return otherPem
}
let otherPem = ''
{
  const issuer = new FakeIssuer()
  const { buildCsr } = await import('../../src/certs/x509/csr.ts')
  const { generateKeyPairSync } = await import('node:crypto')
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const order = { names: ['x.test'], csrDer: buildCsr(['x.test'], privateKey), replaces: null, pending: null }
  otherPem = await issuer.issue({ ...order, progress: async () => {} }, new AbortController().signal)
}
