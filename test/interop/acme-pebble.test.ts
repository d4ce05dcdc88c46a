/** Our ACME client against Pebble: every challenge, with a third of all nonces refused and authorizations reused at random. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import http from 'node:http'
import { after, before, describe, test } from 'node:test'
import { parseServer } from '../../src/acme/dns/client.ts'
import { dnsSolver } from '../../src/acme/dns/solve-dns.ts'
import { httpClient } from '../../src/acme/http.ts'
import { type AcmeOptions, acmeIssuer } from '../../src/acme/issue.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import { renewalId } from '../../src/certs/x509/renewal-id.ts'
import type { Challenge, ChallengeKind, Solver } from '../../src/model/challenge.ts'
import { testCa } from '../harness/certificates.ts'
import { type Pebble, pebbleIsMissing, startPebble } from '../harness/pebble.ts'

const ca = testCa()
const client = httpClient({ ca: ca.certificatePem })
const never = new AbortController().signal
const pace = { firstMs: 20, mostMs: 1_000 }
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString()

const store = () => {
  let kept: string | null = null
  return { load: async () => kept, save: async (text: string) => void (kept = text) }
}

const solver = (
  kind: ChallengeKind,
  present: (challenge: Challenge) => Promise<void>,
  remove: (challenge: Challenge) => Promise<void> = async () => {},
): Solver => ({ kind, fits: (_, wildcard) => kind === 'dns-01' || !wildcard, present, remove })

const orderFor = (names: readonly string[], own = key) => ({
  names,
  csrDer: buildCsr(names, own),
  replaces: null,
  pending: null,
  progress: async () => {},
})

describe('Pebble', { skip: pebbleIsMissing ? `not installed: ${pebbleIsMissing}` : false }, () => {
  let pebble: Pebble
  let web: http.Server
  const served = new Map<string, string>()
  const issuer = (solvers: readonly Solver[], more: Partial<AcmeOptions> = {}) =>
    acmeIssuer({
      directory: pebble.directory,
      http: client,
      account: { store: store(), email: 'ops@example.com', externalAccount: null },
      solvers,
      profile: null,
      preferredChain: null,
      deadlineMs: 30_000,
      pace,
      ...more,
    })
  const http01 = solver(
    'http-01',
    async ({ token, keyAuthorization }) =>
      void served.set(`/.well-known/acme-challenge/${token}`, keyAuthorization),
    async ({ token }) => void served.delete(`/.well-known/acme-challenge/${token}`),
  )
  before(async () => {
    pebble = await startPebble({ ca, ownAnswers: true, profiles: { default: 7_776_000, shortlived: 518_400 } })
    web = http.createServer((request, response) => {
      const answer = served.get(request.url as string)
      response.writeHead(answer === undefined ? 404 : 200).end(answer ?? '')
    })
    await new Promise<void>(resolve => web.listen(pebble.httpPort, '127.0.0.1', resolve))
  })

  after(() => {
    client.close()
    pebble.stop()
    web.close()
  })

  test('http-01, several names, RSA beside ECDSA', async () => {
    const one = issuer([http01])
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const names = ['a.shop.test', 'b.shop.test', 'c.shop.test', 'd.shop.test', 'e.shop.test']
    for (const own of [key, rsa]) {
      const leaf = new X509Certificate(await one.issue(orderFor(names, own), never))
      assert.equal(leaf.checkPrivateKey(own), true)
      assert.match(leaf.subjectAltName as string, /DNS:e\.shop\.test/)
    }
    assert.equal(served.size, 0)
  })

  test('dns-01: a wildcard and its apex, both values at one name', async () => {
    const values = new Map<string, Set<string>>()
    const dns01 = dnsSolver({
      provider: {
        name: 'the test server',
        async set(fqdn, value) {
          values.set(fqdn, (values.get(fqdn) ?? new Set()).add(value))
          await pebble.tell('set-txt', { host: `${fqdn}.`, value })
        },
        async unset(fqdn, value) {
          const left = values.get(fqdn)
          left?.delete(value)
          // The test server takes away all values of a name or none: the other one may still be looked for.
          if (left?.size === 0) await pebble.tell('clear-txt', { host: `${fqdn}.` })
        },
      },
      resolvers: [parseServer(pebble.dns)],
      propagation: { timeoutMs: 10_000, waitMs: 0 },
      everyMs: 10,
      warn: message => assert.fail(message),
    })
    const leaf = new X509Certificate(await issuer([dns01]).issue(orderFor(['*.wild.test', 'wild.test']), never))
    assert.deepEqual(leaf.subjectAltName?.split(', ').sort(), ['DNS:*.wild.test', 'DNS:wild.test'])
    assert.equal(values.get('_acme-challenge.wild.test')?.size, 0)
  })

  test('an order that was cut off is taken up again, and no other is made', async () => {
    const account = { store: store(), email: null, externalAccount: null }
    let pending = ''
    const killed = new AbortController()
    const progress = async (text: string) => {
      assert.equal(pending === '' || pending === text, true)
      pending = text
      killed.abort()
    }
    const first = issuer([http01], { account }).issue({ ...orderFor(['cut.shop.test']), progress }, killed.signal)
    await assert.rejects(first, { kind: 'cancelled' })
    const again = { ...orderFor(['cut.shop.test']), pending, progress: () => assert.fail('another order was made') }
    await issuer([http01], { account }).issue(again, never)
    // And once more: the order is valid, and its certificate is fetched.
    await issuer([], { account }).issue(again, never)
  })

  test('revocation by account, and by key', async () => {
    const one = issuer([http01])
    const leaf = async () => new X509Certificate(await one.issue(orderFor(['a.shop.test']), never)).raw
    const first = await leaf()
    await one.revoke(first, 4, never)
    await one.revoke(first, 4, never)
    const { revokeByKey } = await import('../../src/acme/revoke.ts')
    await revokeByKey(one.ca, await leaf(), 1, keyPem, never)
    await assert.rejects(issuer([http01]).revoke(await leaf(), 0, never), /unauthorized/)
  })

  test('an account key is rolled over, and the account goes on', async () => {
    const kept = store()
    const account = { store: kept, email: null, externalAccount: null }
    const one = issuer([http01], { account })
    await one.issue(orderFor(['a.shop.test']), never)
    const before = JSON.parse((await kept.load()) as string)
    await one.account.rollOver(never)
    const rolled = JSON.parse((await kept.load()) as string)
    assert.equal(rolled.url, before.url)
    assert.notEqual(rolled.key.d, before.key.d)
    await one.issue(orderFor(['a.shop.test']), never)
    await issuer([http01], { account }).issue(orderFor(['a.shop.test']), never)
    await one.account.deactivate(never)
    await assert.rejects(one.issue(orderFor(['a.shop.test']), never), { kind: 'rejected' })
  })

  test('an answer that is not there: the reason is told', async () => {
    const nothing = solver('http-01', async () => {})
    await assert.rejects(issuer([nothing]).issue(orderFor(['absent.shop.test']), never), {
      kind: 'challenge',
      message: /http-01 for absent\.shop\.test failed: /,
    })
  })

  test('renewal information, where this Pebble has it', async t => {
    const one = issuer([http01])
    if ((await one.ca.directory(never)).renewalInfo === null) return t.skip('this Pebble has none')
    const id = renewalId(await one.issue(orderFor(['a.shop.test']), never)) as string
    const window = await one.renewal(id, never)
    assert.ok(window !== null && window.start < window.end && window.askAgainAt > Date.now())
    await one.issue({ ...orderFor(['a.shop.test']), replaces: id }, never)
    // Replaced already: it goes without.
    await one.issue({ ...orderFor(['a.shop.test']), replaces: id }, never)
  })

  test('profiles, from Pebble 2.7 on; an older one is said to offer none', async () => {
    const short = issuer([http01], { profile: 'shortlived' })
    const { profiles } = await short.ca.directory(never)
    if (profiles.size === 0) {
      const error = { kind: 'rejected', message: /has no profile "shortlived": it offers none; remove profile/ }
      return await assert.rejects(short.issue(orderFor(['a.shop.test']), never), error)
    }
    const leaf = new X509Certificate(await short.issue(orderFor(['a.shop.test']), never))
    const days = (Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)) / 86_400_000
    assert.ok(days > 5.9 && days < 6.1, `${days}`)
    const message = /has no profile "fast": it offers default, shortlived/
    await assert.rejects(issuer([http01], { profile: 'fast' }).issue(orderFor(['a.shop.test']), never), { message })
  })

  test('external accounts, and tls-alpn-01', async () => {
    const externalKeys = { 'kid-1': 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' }
    const strict = await startPebble({ ca, externalKeys })
    try {
      const own = (externalAccount: { keyId: string; key: string } | null) =>
        issuer(
          [
            solver(
              'tls-alpn-01',
              ({ name, keyAuthorization }) =>
                strict.tell('add-tlsalpn01', { host: name, content: keyAuthorization }),
              ({ name }) => strict.tell('del-tlsalpn01', { host: name }),
            ),
          ],
          { directory: strict.directory, account: { store: store(), email: null, externalAccount } },
        )
      await assert.rejects(own(null).issue(orderFor(['a.shop.test']), never), {
        kind: 'rejected',
        message: /externalAccount/,
      })
      await assert.rejects(own({ keyId: 'kid-1', key: 'AAAA' }).issue(orderFor(['a.shop.test']), never), {
        kind: 'rejected',
      })
      await own({ keyId: 'kid-1', key: externalKeys['kid-1'] }).issue(orderFor(['a.shop.test']), never)
    } finally {
      strict.stop()
    }
  })
})
