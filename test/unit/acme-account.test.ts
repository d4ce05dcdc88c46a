/** Accounts, revocation and renewal information against a CA that forgets, changes its mind, and makes no sense. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { AccountOptions } from '../../src/acme/account.ts'
import { type HttpClient, httpClient } from '../../src/acme/http.ts'
import { type AcmeIssuer, acmeIssuer } from '../../src/acme/issue.ts'
import { revokeByKey } from '../../src/acme/revoke.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import type { Solver } from '../../src/model/challenge.ts'
import { type FakeAcme, fakeAcme } from '../harness/fake-acme.ts'

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const never = new AbortController().signal
const solver: Solver = { kind: 'http-01', fits: () => true, present: async () => {}, remove: async () => {} }

let fake: FakeAcme
let http: HttpClient
let kept: string | null
let saves: string[]

beforeEach(async () => {
  fake = await fakeAcme()
  http = httpClient({ timeoutMs: 5_000 })
  kept = null
  saves = []
})
afterEach(async () => {
  http.close()
  await fake.close()
})

const issuer = (more: Partial<AccountOptions> = {}): AcmeIssuer =>
  acmeIssuer({
    directory: fake.url,
    http,
    account: {
      store: {
        load: async () => kept,
        save: async text => {
          kept = text
          saves.push(text)
        },
      },
      email: null,
      externalAccount: null,
      ...more,
    },
    solvers: [solver],
    profile: null,
    preferredChain: null,
    deadlineMs: 5_000,
    pace: { firstMs: 1, mostMs: 1_000 },
  })
const names = ['a.example.com']
const issue = (by: AcmeIssuer) =>
  by.issue({ names, csrDer: buildCsr(names, key), replaces: null, pending: null, progress: async () => {} }, never)

describe('an account', () => {
  test('has its key kept before the CA hears of it, and is found by it after a crash', async () => {
    fake.script = seen => (seen.kind === 'newAccount' && fake.count('newAccount') === 2 ? { reset: 'after' } : null)
    await assert.rejects(issue(issuer()), { kind: 'unavailable' })
    assert.equal(saves.length, 1)
    assert.equal(JSON.parse(kept as string).url, null)
    assert.equal(fake.accounts.size, 1)
    fake.script = () => null
    await issue(issuer())
    assert.equal(fake.accounts.size, 1)
    assert.equal(JSON.parse(kept as string).url, [...fake.accounts.keys()][0])
  })

  test('is made anew where the CA has forgotten it, with the same key', async () => {
    const one = issuer()
    await issue(one)
    const before = JSON.parse(kept as string)
    await fake.close()
    fake = await fakeAcme()
    // The same account text with another CA's URL in it: as after a CA was set up anew.
    kept = JSON.stringify({ ...before, url: fake.url.replace('directory', 'account/99') })
    await issue(issuer())
    const after = JSON.parse(kept as string)
    assert.equal(after.key.d, before.key.d)
    assert.equal(fake.accounts.size, 1)
    assert.equal(after.url, [...fake.accounts.keys()][0])
  })

  test('has its address changed where the configuration has', async () => {
    await issue(issuer({ email: 'a@example.com' }))
    await issue(issuer({ email: 'b@example.com' }))
    await issue(issuer({ email: 'b@example.com' }))
    assert.deepEqual([...fake.accounts.values()][0]?.contact, ['mailto:b@example.com'])
    assert.equal(fake.count('account'), 1)
  })

  test('that cannot be read is never replaced', async () => {
    for (const text of ['', '{', '{}', '{"url":null,"contact":[],"key":{"kty":"EC"}}']) {
      kept = text
      await assert.rejects(issue(issuer()), { kind: 'rejected', message: /cannot be read as it is kept/ })
      assert.equal(kept, text)
    }
    assert.equal(fake.accounts.size, 0)
  })

  test('external accounts are bound, and asked for where the CA needs them', async () => {
    fake.externalKeys = new Map([['kid-1', Buffer.from('a key').toString('base64url')]])
    await assert.rejects(issue(issuer()), { kind: 'rejected', message: /give externalAccount/ })
    assert.equal(kept, null)
    await assert.rejects(issue(issuer({ externalAccount: { keyId: 'kid-1', key: 'AAAA' } })), {
      kind: 'rejected',
      message: /bad binding/,
    })
    const error = await issue(issuer({ externalAccount: { keyId: 'kid-2', key: 'c2VjcmV0' } })).catch(
      reason => reason,
    )
    assert.ok(!String(error.message).includes('c2VjcmV0'))
    await issue(issuer({ externalAccount: { keyId: 'kid-1', key: Buffer.from('a key').toString('base64url') } }))
    assert.equal([...fake.accounts.values()][0]?.binding, 'kid-1')
    // Later it is not looked at.
    await issue(issuer())
  })
})

describe('a roll-over', () => {
  for (const reset of ['before', 'after'] as const) {
    test(`cut off ${reset} the CA has changed the key: the account is found by whichever it holds`, async () => {
      const one = issuer()
      await issue(one)
      const { url } = JSON.parse(kept as string)
      fake.script = ({ kind }) => (kind === 'keyChange' ? { reset } : null)
      await assert.rejects(one.account.rollOver(never), { kind: 'unavailable' })
      assert.ok(JSON.parse(kept as string).nextKey)
      fake.script = () => null
      await issue(issuer())
      const after = JSON.parse(kept as string)
      assert.deepEqual([after.url, after.nextKey], [url, undefined])
      assert.equal(fake.accounts.size, 1)
    })
  }

  test('by another node is noticed: the key that is kept is taken', async () => {
    const one = issuer()
    await issue(one)
    await issuer().account.rollOver(never)
    await issue(one)
    assert.equal(fake.accounts.size, 1)
  })
})

describe('revocation', () => {
  test('by account and by key; twice is a success', async () => {
    const one = issuer()
    const leaf = new X509Certificate(await issue(one))
    await one.revoke(leaf.raw, 1, never)
    await one.revoke(leaf.raw, 1, never)
    assert.ok(fake.revoked.has(leaf.serialNumber))
    const other = new X509Certificate(await issue(one))
    const pem = (own: typeof key) => own.export({ type: 'pkcs8', format: 'pem' }).toString()
    const wrong = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    await assert.rejects(revokeByKey(one.ca, other.raw, 1, pem(wrong), never), {
      kind: 'rejected',
      message: /not yours/,
    })
    await revokeByKey(one.ca, other.raw, 1, pem(key), never)
    assert.ok(fake.revoked.has(other.serialNumber))
  })
})

describe('renewal information', () => {
  const window = { start: '2030-01-02T04:00:00Z', end: '2030-01-03T04:00:00.5+01:00' }
  const body = JSON.stringify({ suggestedWindow: window, explanationURL: 'https://ca.example/why' })

  test('is the window, and when to ask again, within a minute and a day', async () => {
    for (const [headers, seconds] of [
      [{ 'retry-after': '21600' }, 21_600],
      [{}, 21_600],
      [{ 'retry-after': '1' }, 60],
      [{ 'retry-after': '99999999' }, 86_400],
    ] as const) {
      fake.renewal = { status: 200, headers, body }
      const got = await issuer().renewal('aaa.bbb', never)
      assert.equal(got?.start, Date.parse(window.start))
      assert.equal(got?.end, Date.parse(window.end))
      assert.equal(got?.explanation, 'https://ca.example/why')
      assert.ok(Math.abs((got?.askAgainAt as number) - Date.now() - seconds * 1000) < 60_000)
    }
  })

  test('is null where the CA has none, or not of this certificate', async () => {
    assert.equal(await issuer().renewal('aaa.bbb', never), null)
    fake.renewal = { status: 404, body: '{}' }
    assert.equal(await issuer().renewal('aaa.bbb', never), null)
  })

  test('that makes no sense, or is refused, is an error', async () => {
    const swapped = JSON.stringify({ suggestedWindow: { start: window.end, end: window.start } })
    for (const text of ['', '[]', '{}', '{"suggestedWindow":{"start":"soon","end":7}}', swapped]) {
      fake.renewal = { status: 200, body: text }
      await assert.rejects(issuer().renewal('aaa.bbb', never), {
        kind: 'unavailable',
        message: /no window in which to renew/,
      })
    }
    fake.renewal = { status: 503, headers: { 'retry-after': '60' }, body: '' }
    const error = await issuer()
      .renewal('aaa.bbb', never)
      .catch(reason => reason)
    assert.ok(error.retryAt > Date.now())
    await assert.rejects(issuer().renewal('../../etc', never), { kind: 'rejected' })
  })

  test('is asked for with explanations that are URLs only', async () => {
    fake.renewal = { status: 200, body: body.replace('https://ca.example/why', 'javascript:alert(1)') }
    assert.equal((await issuer().renewal('aaa.bbb', never))?.explanation, null)
  })
})
