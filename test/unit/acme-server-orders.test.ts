/** Orders of the ACME server: who gets a certificate for what, and who does not. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import { allowList } from '../../src/acme-server/names.ts'
import { ChallengeFailure } from '../../src/acme-server/validate.ts'
import { internalAuthority } from '../../src/certs/ca/authority.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import { readCertificate } from '../../src/certs/x509/x509-read.ts'
import { type Answered, jwkOf, newKey, type TestAcmeClient } from '../harness/acme-client.ts'
import { acmeServer } from '../harness/internal-ca.ts'

const type = (body: { type: string }) => body.type.replace('urn:ietf:params:acme:error:', '')

/** Answers every challenge of an order, and waits until its authorizations are decided. */
async function prove(client: TestAcmeClient, order: Answered): Promise<Answered> {
  for (const url of order.body.authorizations) {
    let authorization = await client.post(url, '')
    await client.post(authorization.body.challenges[0].url, {})
    while (authorization.body.status === 'pending') authorization = await client.post(url, '')
  }
  return client.post(order.field('location') as string, '')
}

const leafOf = (pem: string) => new X509Certificate(pem.slice(0, pem.indexOf('-----END') + 30))

describe('an order', () => {
  test('ends in a certificate for its names, from challenge to chain', async () => {
    const { client, authority } = acmeServer()
    const asking = client()
    await asking.register()
    const order = await asking.order('A.internal', 'b.internal', '10.0.0.7')
    assert.equal(order.body.status, 'pending')
    assert.equal(type((await asking.finalize(order, ['a.internal'])).body), 'orderNotReady')
    assert.equal((await prove(asking, order)).body.status, 'ready')
    const key = newKey()
    const done = await asking.finalize(order, ['b.internal', 'a.internal', '10.0.0.7'], key)
    assert.equal(done.body.status, 'valid', done.text)
    const chain = await asking.post(done.body.certificate, '')
    assert.equal(chain.field('content-type'), 'application/pem-certificate-chain')
    const leaf = leafOf(chain.text)
    assert.equal(leaf.checkPrivateKey(key), true)
    assert.deepEqual([...readCertificate(leaf.raw).names].sort(), ['10.0.0.7', 'a.internal', 'b.internal'])
    assert.equal(leaf.verify(new X509Certificate(authority.ca.chainPem).publicKey), true)
    assert.ok(leaf.validToDate.getTime() - Date.now() < 24 * 3_600_000 + 5_000)
    // The answer was lost, and the request comes again: the same certificate.
    assert.equal((await asking.finalize(order, ['a.internal'])).body.certificate, done.body.certificate)
    const [record] = authority.records.list().records
    assert.match(record?.requester as string, /^acme [0-9a-f]{32}$/)
  })

  test('of another account does not exist, nor do its authorizations, challenges and certificates', async () => {
    const { client } = acmeServer()
    const [mine, other] = [client(), client()]
    await mine.register()
    await other.register()
    const order = await mine.order('a.internal')
    const authorization = await mine.post(order.body.authorizations[0], '')
    await prove(mine, order)
    const done = await mine.finalize(order, ['a.internal'])
    const own = (url: string) =>
      url.replace(
        (mine.kid as string).split('/').at(-1) as string,
        (other.kid as string).split('/').at(-1) as string,
      )
    for (const url of [
      order.field('location') as string,
      order.body.finalize,
      order.body.authorizations[0],
      authorization.body.challenges[0].url,
      done.body.certificate,
      mine.kid as string,
    ]) {
      assert.equal((await other.post(url, url.endsWith('finalize') ? {} : '')).status, 404, url)
      if (url !== mine.kid)
        assert.ok(
          (await other.post(own(url), url.endsWith('finalize') ? { csr: 'AA' } : '')).status >= 400,
          own(url),
        )
    }
  })

  test('gets what was ordered: a request with other names, the key of the account, or a broken signature is refused', async () => {
    const { client, authority } = acmeServer()
    const asking = client()
    await asking.register()
    const order = await asking.order('a.internal')
    await prove(asking, order)
    const csr = buildCsr(['a.internal'], newKey())
    const broken = Buffer.from(csr)
    broken[broken.length - 1] = (broken[broken.length - 1] as number) ^ 1
    const cases: [unknown, string][] = [
      [buildCsr(['a.internal', 'b.internal'], newKey()).toString('base64url'), 'badCSR'],
      [buildCsr(['b.internal'], newKey()).toString('base64url'), 'badCSR'],
      [buildCsr(['*.internal'], newKey()).toString('base64url'), 'badCSR'],
      [buildCsr([], newKey()).toString('base64url'), 'badCSR'],
      [buildCsr(['a.internal'], asking.key).toString('base64url'), 'badPublicKey'],
      [broken.toString('base64url'), 'badCSR'],
      [csr.subarray(0, 40).toString('base64url'), 'badCSR'],
      [`${csr.toString('base64url')}=`, 'malformed'],
      [7, 'malformed'],
      ['', 'badCSR'],
    ]
    for (const [text, wanted] of cases)
      assert.equal(type((await asking.post(order.body.finalize, { csr: text })).body), wanted)
    assert.equal(authority.records.list().records.length, 0)
    assert.equal((await asking.post(order.body.finalize, { csr: csr.toString('base64url') })).body.status, 'valid')
  })

  test('is limited to names of the list, and of what the external account may have without a challenge', async () => {
    const secret = randomBytes(32)
    const external = { key: secret, allow: allowList(['*.orders.internal', '10.1.0.0/16']) }
    const { client } = acmeServer({
      allow: allowList(['*.internal', '10.0.0.0/8']),
      externalAccounts: new Map([['orders', external]]),
    })
    const asking = client()
    await asking.register({ externalAccountBinding: asking.binding('orders', secret) })
    for (const names of [['a.orders.internal'], ['*.orders.internal'], ['x.y.orders.internal', '10.1.2.3']]) {
      const order = await asking.order(...names)
      assert.equal(order.body.status, 'ready', order.text)
      assert.equal((await asking.finalize(order, names)).body.status, 'valid')
    }
    // Not on its list, and to be proved; a wildcard cannot be, by http-01.
    assert.equal((await asking.order('orders.internal')).body.status, 'pending')
    assert.equal((await asking.order('10.2.0.1')).body.status, 'pending')
    for (const name of [
      '*.internal',
      'a.example.com',
      'internal',
      'aorders.example',
      '192.0.2.1',
      'orders.internal.example.com',
    ])
      assert.equal(type((await asking.order(name)).body), 'rejectedIdentifier', name)
    const mixed = await asking.order('a.orders.internal', 'a.example.com', 'b.example.com')
    assert.deepEqual(
      mixed.body.subproblems.map((each: { identifier: { value: string } }) => each.identifier.value),
      ['a.example.com', 'b.example.com'],
    )
  })

  test('is not finalized for a name that has gone from the list of the external account, unless it was proved', async () => {
    const secret = randomBytes(32)
    const allowing = (...names: string[]) => new Map([['team', { key: secret, allow: allowList(names) }]])
    const accounts = allowing('pay.internal', '*.shop.internal', 'a.internal')
    const { client } = acmeServer({ externalAccounts: accounts, challenges: ['http-01', 'dns-01'] })
    const asking = client()
    await asking.register({ externalAccountBinding: asking.binding('team', secret) })
    const orders = [['pay.internal'], ['*.shop.internal'], ['a.internal']]
    const made = []
    for (const names of orders) made.push(await asking.order(...names))
    const proved = await asking.order('b.internal')
    assert.deepEqual(
      [...made, proved].map(order => order.body.status),
      ['ready', 'ready', 'ready', 'pending'],
    )
    accounts.set('team', allowing('a.internal').get('team')!)
    const finalized = []
    for (const [at, names] of orders.entries()) finalized.push((await asking.finalize(made[at]!, names)).body)
    assert.deepEqual(
      finalized.map(body => body.status),
      [403, 403, 'valid'],
    )
    assert.match(finalized[0].detail, /pay\.internal is no longer on the allow list/)
    assert.match(finalized[1].detail, /\*\.shop\.internal is no longer on the allow list/)
  })

  test('is for names that are names', async () => {
    const { client } = acmeServer()
    const asking = client()
    await asking.register()
    const wrong: unknown[] = [
      undefined,
      [],
      'a',
      [{}],
      [{ type: 'email', value: 'a@b' }],
      [{ type: 'dns', value: 'a b' }],
      [{ type: 'dns', value: 'a..b' }],
      [{ type: 'dns', value: '10.0.0.1' }],
      [{ type: 'dns', value: 'a.*.b' }],
      [{ type: 'dns', value: '*.*.b' }],
      [{ type: 'dns', value: 'ä.internal' }],
      [{ type: 'dns', value: '../x' }],
      [{ type: 'ip', value: 'a' }],
      [{ type: 'ip', value: '10.0.0.0/8' }],
      [{ type: 'dns', value: 7 }],
      Array.from({ length: 51 }, (_, at) => ({ type: 'dns', value: `a${at}.internal` })),
    ]
    for (const identifiers of wrong)
      assert.ok((await asking.post('/new-order', { identifiers })).status >= 400, JSON.stringify(identifiers))
  })

  test('fails with its challenge, and says why', async () => {
    const { client } = acmeServer({
      validate: async () => {
        throw new ChallengeFailure('incorrectResponse', 'a.internal:80 answered with status 404')
      },
    })
    const asking = client()
    await asking.register()
    const order = await asking.order('a.internal')
    const end = await prove(asking, order)
    assert.equal(end.body.status, 'invalid')
    assert.match(end.body.error.detail, /status 404/)
    assert.equal(type((await asking.finalize(order, ['a.internal'])).body), 'orderNotReady')
  })

  test('a challenge that was being tried when the server stopped is tried again', async () => {
    let hang = true
    const calls: string[] = []
    const { client, terms, server } = acmeServer({
      validate: (asked, signal) =>
        new Promise((resolve, reject) => {
          calls.push(asked.keyAuthorization)
          signal.addEventListener('abort', () => reject(signal.reason))
          if (!hang) resolve()
        }),
    })
    const asking = client()
    await asking.register()
    const order = await asking.order('a.internal')
    const authorization = await asking.post(order.body.authorizations[0], '')
    const posted = await asking.post(authorization.body.challenges[0].url, {})
    assert.equal(posted.body.status, 'processing')
    server.close()
    hang = false
    const { AcmeServer } = await import('../../src/acme-server/server.ts')
    const next = new AcmeServer(terms)
    const again = client()
    Object.assign(again, { asks: (request: never) => next.handle(request), key: asking.key, kid: asking.kid })
    let now = await again.post(order.body.authorizations[0], '')
    while (now.body.status === 'pending') now = await again.post(order.body.authorizations[0], '')
    assert.equal(now.body.status, 'valid')
    assert.equal(calls.length, 2)
    assert.match(calls[0] as string, new RegExp(`^${authorization.body.challenges[0].token}\\.`))
    next.close()
  })

  test('may ask for a shorter life, a profile, and to replace; not for more than there is', async () => {
    const { client, terms } = acmeServer({
      externalAccounts: new Map([['k', { key: Buffer.alloc(32, 1), allow: allowList(['a.internal']) }]]),
    })
    const asking = client()
    await asking.register({ externalAccountBinding: asking.binding('k', Buffer.alloc(32, 1)) })
    const identifiers = [{ type: 'dns', value: 'a.internal' }]
    const at = (ms: number) => new Date(Date.now() + ms).toISOString()
    for (const bad of [
      { notAfter: at(60 * 3_600_000) },
      { notAfter: at(-1) },
      { notAfter: 'soon' },
      { notBefore: at(3_600_000) },
    ])
      assert.equal(type((await asking.post('/new-order', { identifiers, ...bad })).body), 'malformed')
    assert.equal(
      type((await asking.post('/new-order', { identifiers, profile: 'constructor' })).body),
      'invalidProfile',
    )
    const order = await asking.post('/new-order', { identifiers, notAfter: at(3_600_000), profile: 'tlsmutual' })
    const done = await asking.finalize(order, ['a.internal'])
    const leaf = leafOf((await asking.post(done.body.certificate, '')).text)
    assert.ok(Math.abs(leaf.validToDate.getTime() - Date.now() - 3_600_000) < 5_000)
    assert.deepEqual(readCertificate(leaf.raw).extendedKeyUsage?.length, 2)
    const { authorityKeyId, serial } = readCertificate(leaf.raw)
    const id = `${authorityKeyId?.toString('base64url')}.${Buffer.from(serial, 'hex').toString('base64url')}`
    const info = await asking.get(`/renewal-info/${id}`)
    const { start, end } = info.body.suggestedWindow
    assert.ok(
      Date.parse(start) > Date.now() + 30 * 60_000 && Date.parse(end) < leaf.validToDate.getTime(),
      info.text,
    )
    assert.match(info.field('retry-after') as string, /^\d+$/)
    assert.equal((await asking.get('/renewal-info/x.y')).status, 400)
    assert.equal((await asking.get('/renewal-info/AAAA.AAAA')).status, 404)
    const next = await asking.post('/new-order', { identifiers, replaces: id })
    assert.equal(next.body.replaces, id)
    assert.equal((await asking.finalize(next, ['a.internal'])).body.status, 'valid')
    const again = await asking.post('/new-order', { identifiers, replaces: id })
    assert.deepEqual([again.status, type(again.body)], [409, 'alreadyReplaced'])
    void terms
  })
})

describe('a certificate', () => {
  async function issued() {
    const made = acmeServer()
    const asking = made.client()
    await asking.register()
    const order = await asking.order('a.internal')
    await prove(asking, order)
    const key = newKey()
    const done = await asking.finalize(order, ['a.internal'], key)
    const leaf = leafOf((await asking.post(done.body.certificate, '')).text)
    return { ...made, asking, key, certificate: leaf.raw.toString('base64url') }
  }

  test('that was issued while the clock ran ahead is to be renewed now', async () => {
    const { authority, client } = acmeServer()
    const ahead = internalAuthority(authority.ca, () => Date.now() + 20 * 86_400_000)
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const lifetimeMs = 3_600_000
    const terms = {
      publicKey,
      names: ['a.internal'],
      uris: [],
      use: ['server' as const],
      lifetimeMs,
      requester: 'x',
    }
    const { certificateDer } = await ahead.issue(terms)
    const { authorityKeyId, serial } = readCertificate(certificateDer)
    const id = `${authorityKeyId?.toString('base64url')}.${Buffer.from(serial, 'hex').toString('base64url')}`
    const { start } = (await client().get(`/renewal-info/${id}`)).body.suggestedWindow
    assert.ok(Date.parse(start) <= Date.now())
  })

  test('is revoked by its account, once, for a reason that there is', async () => {
    const { asking, certificate, authority } = await issued()
    assert.equal(type((await asking.post('/revoke-cert', { certificate, reason: 2 })).body), 'badRevocationReason')
    assert.equal((await asking.post('/revoke-cert', { certificate: 'AAAA' })).status, 400)
    assert.equal((await asking.post('/revoke-cert', { certificate, reason: 1 })).status, 200)
    assert.equal(type((await asking.post('/revoke-cert', { certificate })).body), 'alreadyRevoked')
    assert.equal(authority.records.list().records[0]?.revoked?.reason, 1)
    assert.equal(authority.crl(60_000).count, 1)
  })

  test('is revoked by its own key, and by who has proved its names, not by anybody else', async () => {
    const one = await issued()
    const stranger = one.client()
    assert.equal((await stranger.post('/revoke-cert', { certificate: one.certificate })).status, 403)
    await stranger.register()
    assert.equal((await stranger.post('/revoke-cert', { certificate: one.certificate })).status, 403)
    stranger.kid = null
    stranger.key = one.key
    assert.equal((await stranger.post('/revoke-cert', { certificate: one.certificate })).status, 200)
    const two = await issued()
    const heir = two.client()
    await heir.register()
    await prove(heir, await heir.order('a.internal'))
    assert.equal((await heir.post('/revoke-cert', { certificate: two.certificate })).status, 200)
  })

  test('of another CA, or a copy with our serial number, is not ours to revoke', async () => {
    const one = await issued()
    const two = await issued()
    assert.equal((await two.asking.post('/revoke-cert', { certificate: one.certificate })).status, 404)
    const forged = Buffer.from(one.certificate, 'base64url')
    forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1
    assert.equal((await one.asking.post('/revoke-cert', { certificate: forged.toString('base64url') })).status, 404)
    void jwkOf
  })
})
