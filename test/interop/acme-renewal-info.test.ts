/** A gateway that renews when its CA says so (RFC 9773), against a Pebble that has renewal information. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { Account } from '../../src/acme/account.ts'
import { Ca } from '../../src/acme/directory.ts'
import { httpClient } from '../../src/acme/http.ts'
import { post } from '../../src/acme/post.ts'
import { problemOf } from '../../src/acme/problem.ts'
import { revokeByKey } from '../../src/acme/revoke.ts'
import { renewalId } from '../../src/certs/x509/renewal-id.ts'
import { temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { getText, type Pebble, pebbleIsMissing, startPebble } from '../harness/pebble.ts'
import { startRenewalInfo } from '../harness/renewal-info.ts'
import { until } from '../harness/until.ts'

const ca = testCa()
const never = new AbortController().signal
const day = 86_400_000

describe('renewal information', { skip: pebbleIsMissing || false }, () => {
  let pebble: Pebble
  let hasNone = false
  const running: Started[] = []

  before(async () => {
    pebble = await startPebble({ ca, ownAnswers: true })
    hasNone = JSON.parse(await getText(pebble.directory, ca.certificatePem)).renewalInfo === undefined
  })
  afterEach(async () => {
    for (const each of running.splice(0)) await each.stop()
  })
  after(() => pebble.stop())

  async function start(directory: string, state: string): Promise<Started> {
    const started = await startGateway({
      state,
      listen: [{ port: pebble.tlsPort, address: '127.0.0.1' }],
      sites: [{ host: 'shop.test', certificate: 'acme', routes: [{ respond: { status: 200, body: 'hello' } }] }],
      acme: { email: 'ops@example.com', directory, ca: ca.file },
    })
    running.push(started)
    return started
  }

  type Kept = { readonly chainPem: string; readonly keyPem: string }
  const keptIn = (state: string): Kept =>
    JSON.parse(readFileSync(path.join(state, 'storage/certificates/shop.test.ecdsa'), 'utf8'))
  const said = (
    started: Started,
    message: string,
    more: (record: Record<string, unknown>) => boolean = () => true,
  ) => started.logged(record => record['message'] === message && more(record))

  /**
   * Pebble lets a certificate be replaced once: whoever asks a second time is told that it has been. Null where it does not
   * find a certificate of its own: one in 256 has a serial number that it looks for in another spelling
   * (letsencrypt/pebble#550).
   */
  async function isReplaced(state: string, id: string): Promise<boolean | null> {
    const folder = path.join(state, 'storage/accounts')
    const text = readFileSync(path.join(folder, readdirSync(folder)[0] as string), 'utf8')
    const http = httpClient({ ca: ca.certificatePem })
    try {
      const authority = new Ca(pebble.directory, http)
      // The gateway's own account; where it asked another directory for it, the key and the URL are the same.
      const own = JSON.stringify({ ...JSON.parse(text), directory: pebble.directory })
      const account = new Account(authority, {
        store: { load: async () => own, save: async () => assert.fail('another account was made') },
        email: 'ops@example.com',
        externalAccount: null,
      })
      const { newOrder } = await authority.directory(never)
      const body = { identifiers: [{ type: 'dns', value: 'shop.test' }], replaces: id }
      return await account
        .run(never, signer => post(authority, newOrder, body, signer, never))
        .then(
          () => false,
          error => {
            if (problemOf(error)?.status === 500 && id.split('.')[1]?.startsWith('A')) return null
            // Pebble's own words; up to 2.8 its type is `malformed`, where RFC 9773 has `alreadyReplaced` now.
            assert.equal(problemOf(error)?.status, 409)
            assert.match(String(error), /already has a replacement order/)
            return true
          },
        )
    } finally {
      http.close()
    }
  }

  test('leads: renewed in the window, with ninety days left, and the order says what it replaces', async t => {
    if (hasNone) return t.skip('this Pebble has none')
    const state = temporaryFolder('sallyport-state-')
    // A window that is over already: at once, but not before a sixth of its life, whatever a CA says.
    const soon = await startRenewalInfo(pebble, ca, () => ({ start: Date.now() - day, end: Date.now() - day / 2 }))
    try {
      const first = await start(soon.directory, state)
      await said(first, 'certificate obtained')
      await said(first, 'the issuer says when to renew')
      const before = keptIn(state)
      const id = renewalId(before.chainPem) as string
      assert.deepEqual(soon.asked, [id])
      assert.ok(!first.logs().some(record => record['message'] === 'renewing a certificate'))
      await running.pop()?.stop()
      // Sixteen days later.
      age(state, 16 * day)
      const second = await start(soon.directory, state)
      const renewing = await said(second, 'renewing a certificate')
      assert.equal(renewing['why'], 'the issuer asks for renewal (https://ca.test/why)')
      await said(second, 'certificate obtained')
      await until(() => keptIn(state).chainPem !== before.chainPem)
      assert.notEqual(await isReplaced(state, id), false)
      assert.notEqual(await isReplaced(state, renewalId(keptIn(state).chainPem) as string), true)
    } finally {
      soon.stop()
    }
  })

  test("a CA that has revoked a certificate asks for another: Pebble's own windows", async t => {
    if (hasNone) return t.skip('this Pebble has none')
    const state = temporaryFolder('sallyport-state-')
    const first = await start(pebble.directory, state)
    await said(first, 'certificate obtained')
    const { renewal } = await said(first, 'the issuer says when to renew')
    // Two thirds through ninety days, and a day to either side.
    const ideal = Date.now() + 60 * day
    assert.ok(Math.abs(Date.parse(String(renewal)) - ideal) < 1.5 * day, String(renewal))
    await running.pop()?.stop()

    const old = keptIn(state)
    const http = httpClient({ ca: ca.certificatePem })
    const der = new X509Certificate(old.chainPem).raw
    await revokeByKey(new Ca(pebble.directory, http), der, 4, old.keyPem, never)
    http.close()
    // Twenty days later it is time to ask again.
    age(state, 20 * day)
    const second = await start(pebble.directory, state)
    const renewing = await said(second, 'renewing a certificate')
    assert.equal(renewing['why'], 'the issuer asks for renewal')
    await said(second, 'certificate obtained')
    await until(() => keptIn(state).chainPem !== old.chainPem)
    assert.notEqual(await isReplaced(state, renewalId(old.chainPem) as string), false)
  })
})

/** Everything that was kept is that much older: what the gateway obtained, and what it was told. */
function age(state: string, ms: number): void {
  const change = (kind: string, fields: readonly string[]) => {
    const file = path.join(state, `storage/${kind}/shop.test.ecdsa`)
    const record = JSON.parse(readFileSync(file, 'utf8'))
    for (const field of fields) record[field] -= ms
    writeFileSync(file, JSON.stringify(record))
  }
  change('certificates', ['obtainedAt'])
  change('renewals', ['askAgainAt', 'renewAt', 'start', 'end'])
}
