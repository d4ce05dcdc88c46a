/** What the ACME server refuses in a request: everything that is not exactly what was signed, once, by the right key. */
import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { allowList } from '../../src/acme-server/names.ts'
import { jwkOf, newKey, type Sent, TestAcmeClient } from '../harness/acme-client.ts'
import { acmeServer } from '../harness/internal-ca.ts'

const type = (body: { type: string }) => body.type.replace('urn:ietf:params:acme:error:', '')

describe('a request', () => {
  const { client } = acmeServer()
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const other = newKey()
  const cases: Record<string, readonly [Sent, number, string]> = {
    'for another url': [{ header: { url: 'https://ca.internal:9443/new-account' } }, 403, 'unauthorized'],
    'without url': [{ header: { url: undefined } }, 400, 'malformed'],
    'without a nonce': [{ header: { nonce: undefined } }, 400, 'badNonce'],
    'with a nonce of somebody else': [
      { header: { nonce: randomBytes(32).toString('base64url') } },
      400,
      'badNonce',
    ],
    'with alg none': [
      { header: { alg: 'none' }, spoil: jws => ({ ...jws, signature: '' }) },
      400,
      'badSignatureAlgorithm',
    ],
    'with an HMAC': [{ header: { alg: 'HS256' } }, 400, 'badSignatureAlgorithm'],
    'with RS384': [{ header: { alg: 'RS384' } }, 400, 'badSignatureAlgorithm'],
    'with an algorithm of another kind of key': [{ header: { alg: 'RS256' } }, 400, 'badSignatureAlgorithm'],
    'with jwk and kid': [{ header: { jwk: jwkOf(other) } }, 400, 'malformed'],
    'with neither': [{ header: { kid: undefined } }, 400, 'malformed'],
    'with jwk where an account is needed': [
      { header: { kid: undefined, jwk: jwkOf(other) }, key: other },
      400,
      'malformed',
    ],
    'with the kid of nobody': [
      { header: { kid: `https://ca.internal:9443/account/${'0'.repeat(32)}` } },
      400,
      'accountDoesNotExist',
    ],
    'with a kid that climbs': [
      { header: { kid: 'https://ca.internal:9443/account/../keys/x' } },
      400,
      'accountDoesNotExist',
    ],
    'with a kid elsewhere': [{ header: { kid: 'https://evil.example/account/1' } }, 400, 'accountDoesNotExist'],
    'signed by another key': [{ key: other }, 401, 'unauthorized'],
    'signed by an RSA key for an ECDSA account': [{ key: rsa }, 400, 'badSignatureAlgorithm'],
    'with crit': [{ header: { crit: ['exp'], exp: 1 } }, 400, 'malformed'],
    'with b64': [{ header: { b64: false } }, 400, 'malformed'],
    'with an unprotected header': [{ spoil: jws => ({ ...jws, header: { alg: 'none' } }) }, 400, 'malformed'],
    'with several signatures': [{ spoil: jws => ({ ...jws, signatures: [] }) }, 400, 'malformed'],
    'with another payload than was signed': [{ spoil: jws => ({ ...jws, payload: 'e30' }) }, 401, 'unauthorized'],
    'with padding': [{ spoil: jws => ({ ...jws, signature: `${jws['signature']}==` }) }, 400, 'malformed'],
    'with an empty signature': [{ spoil: jws => ({ ...jws, signature: '' }) }, 401, 'unauthorized'],
    'that is a list': [{ spoil: jws => [jws] }, 400, 'malformed'],
    'that is null': [{ spoil: () => null }, 400, 'malformed'],
    'whose payload is a list': [{ payload: [] }, 400, 'malformed'],
    'as plain JSON': [{ contentType: 'application/json' }, 415, 'malformed'],
    'that is too long': [{ payload: 'x'.repeat(70_000) }, 413, 'malformed'],
  }
  for (const [name, [sent, status, wanted]] of Object.entries(cases)) {
    test(`${name} is refused: ${wanted}`, async () => {
      const asking = client()
      await asking.register()
      const answer = await asking.post('/new-order', { identifiers: [{ type: 'dns', value: 'a.internal' }] }, sent)
      assert.deepEqual([answer.status, type(answer.body)], [status, wanted], answer.text)
      assert.match(answer.field('replay-nonce') as string, /^[\w-]{43}$/)
      assert.equal(answer.field('content-type'), 'application/problem+json')
      // The same, right, goes through: it was this, and nothing else, that was refused.
      assert.equal((await asking.order('a.internal')).status, 201)
    })
  }

  test('is taken once, also when both come at the same time', async () => {
    const asking = client()
    await asking.register()
    const nonce = asking.nonce
    assert.equal((await asking.order('a.internal')).status, 201)
    const again = await asking.post(
      '/new-order',
      { identifiers: [{ type: 'dns', value: 'a.internal' }] },
      { header: { nonce } },
    )
    assert.deepEqual([again.status, type(again.body)], [400, 'badNonce'])
    // badNonce brings a fresh one, with which it goes through (RFC 8555 section 6.5).
    const header = { nonce: again.field('replay-nonce') }
    const both = await Promise.all(
      [1, 2].map(() =>
        asking.post('/new-order', { identifiers: [{ type: 'dns', value: 'a.internal' }] }, { header }),
      ),
    )
    assert.deepEqual(both.map(each => each.status).sort(), [201, 400])
  })

  test('with a bad signature does not use up its nonce', async () => {
    const asking = client()
    await asking.register()
    const { nonce } = asking
    await asking.post('/new-order', {}, { key: other })
    assert.equal(
      (
        await asking.post(
          '/new-order',
          { identifiers: [{ type: 'dns', value: 'a.internal' }] },
          { header: { nonce } },
        )
      ).status,
      201,
    )
  })

  test('may be signed with ES256, ES384, RS256 and Ed25519, and with nothing weaker', async () => {
    const keys = [
      newKey(),
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
      rsa,
      generateKeyPairSync('ed25519').privateKey,
    ]
    for (const key of keys) {
      const asking = client()
      asking.key = key
      assert.equal((await asking.register()).status, 201)
    }
    const weak = client()
    weak.key = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    assert.equal(type((await weak.register()).body), 'badPublicKey')
    const leaking = client()
    const answer = await leaking.post(
      '/new-account',
      {},
      { header: { jwk: leaking.key.export({ format: 'jwk' }) } },
    )
    assert.equal(type(answer.body), 'badPublicKey')
  })

  test('is limited by address and by account, with Retry-After', async () => {
    const asking = client()
    asking.remote = '198.51.100.9'
    let last = await asking.get('/directory')
    // More than may come at once: while they are asked, some become free again.
    for (let count = 0; count < 3_000 && last.status === 200; count++) last = await asking.get('/directory')
    assert.equal(last.status, 429)
    assert.equal(type(last.body), 'rateLimited')
    assert.match(last.field('retry-after') as string, /^\d+$/)
    const elsewhere = client()
    elsewhere.remote = '198.51.100.10'
    assert.equal((await elsewhere.get('/directory')).status, 200)
    // One host has a whole /64.
    for (let count = 0; count < 22; count++) {
      const one = client()
      one.remote = `2001:db8:1:2::${count.toString(16)}`
      last = await one.register()
    }
    assert.equal(last.status, 429)
  })

  test('what is not public is not read with GET', async () => {
    const asking = client()
    const account = await asking.register()
    const url = (account.field('location') as string).slice(asking.base.length)
    assert.equal((await asking.get(url)).status, 405)
    assert.equal((await asking.get('/no-such')).status, 404)
    assert.equal((await asking.get('/directory', 'PUT')).status, 405)
    assert.equal((await asking.get('/new-nonce')).status, 204)
  })

  test('while storage is away is answered with 503, and nothing is lost', async () => {
    const { client: asks, storage } = acmeServer()
    const asking = asks()
    await asking.register()
    storage.away = true
    const answer = await asking.order('a.internal')
    assert.deepEqual([answer.status, type(answer.body)], [503, 'serverInternal'])
    assert.match(answer.field('retry-after') as string, /^\d+$/)
    storage.away = false
    assert.equal((await asking.order('a.internal')).status, 201)
  })
})

describe('an account', () => {
  test('is found again by its key, changed, and deactivated', async () => {
    const { client } = acmeServer()
    const asking = client()
    assert.equal(
      type((await asking.post('/new-account', { onlyReturnExisting: true })).body),
      'accountDoesNotExist',
    )
    const made = await asking.register({ contact: ['mailto:ops@example.com'] })
    assert.equal(made.status, 201)
    const kid = asking.kid as string
    asking.kid = null
    const found = await asking.post('/new-account', { onlyReturnExisting: true })
    assert.deepEqual([found.status, found.field('location')], [200, kid])
    asking.kid = kid
    assert.deepEqual((await asking.post(kid, { contact: [] })).body.contact, [])
    for (const [contact, wanted] of [
      [['tel:+123'], 'unsupportedContact'],
      [['mailto:a@b,c@d'], 'invalidContact'],
      [['mailto:a@b?cc=c@d'], 'invalidContact'],
      ['mailto:a@b', 'invalidContact'],
    ] as const)
      assert.equal(type((await asking.post(kid, { contact })).body), wanted)
    assert.equal((await asking.post(kid, { status: 'deactivated' })).body.status, 'deactivated')
    assert.equal((await asking.order('a.internal')).status, 403)
    asking.kid = null
    assert.equal((await asking.register()).status, 403)
  })

  test('survives a restart of the server', async () => {
    const { client, terms } = acmeServer()
    const asking = client()
    await asking.register()
    const { AcmeServer } = await import('../../src/acme-server/server.ts')
    const next = new AcmeServer(terms)
    const again = new TestAcmeClient(asking.base, request => next.handle(request), asking.key)
    again.kid = asking.kid
    const old = asking.nonce
    again.nonce = old
    assert.equal(type((await again.order('a.internal')).body), 'badNonce')
    assert.equal((await again.order('a.internal')).status, 201)
  })

  test('gets a new key only with the word of both keys', async () => {
    const { client } = acmeServer()
    const asking = client()
    await asking.register()
    const fresh = newKey()
    const url = `${asking.base}/key-change`
    const inner = (change: object, said: object = {}, key = fresh) =>
      asking.jws(
        { alg: 'ES256', jwk: jwkOf(fresh), url, ...change },
        { account: asking.kid, oldKey: jwkOf(asking.key), ...said },
        key,
      )
    const bad = [
      inner({ url: `${asking.base}/new-order` }),
      inner({ nonce: 'x' }),
      inner({ jwk: undefined, kid: asking.kid }),
      inner({}, { account: `${asking.base}/account/${'0'.repeat(32)}` }),
      inner({}, { oldKey: jwkOf(newKey()) }),
      inner({}, {}, newKey()),
    ]
    for (const each of bad) assert.ok((await asking.post('/key-change', each)).status >= 400)
    const second = client()
    await second.register()
    const taken = asking.jws(
      { alg: 'ES256', jwk: jwkOf(second.key), url },
      { account: asking.kid, oldKey: jwkOf(asking.key) },
      second.key,
    )
    const conflict = await asking.post('/key-change', taken)
    assert.deepEqual([conflict.status, conflict.field('location')], [409, second.kid])
    assert.equal((await asking.post('/key-change', inner({}))).status, 200)
    assert.equal((await asking.order('a.internal')).status, 401)
    asking.key = fresh
    assert.equal((await asking.order('a.internal')).status, 201)
  })

  test('needs an external account where there are any, and its MAC is for this key and this url', async () => {
    const secret = randomBytes(32)
    const externalAccounts = new Map([['team', { key: secret, allow: allowList(['*.orders.internal']) }]])
    const { client } = acmeServer({ externalAccounts })
    const asking = client()
    assert.equal((await asking.get('/directory')).body.meta.externalAccountRequired, true)
    assert.equal(type((await asking.register()).body), 'externalAccountRequired')
    const bad = [
      asking.binding('team', randomBytes(32)),
      asking.binding('nobody', secret),
      asking.binding('nobody', Buffer.alloc(32)),
      asking.binding('team', secret, { url: `${asking.base}/new-order` }),
      asking.binding('team', secret, { alg: 'none' }),
      asking.binding('team', secret, { nonce: 'x' }),
      asking.binding('team', secret, {}, newKey()),
      { ...asking.binding('team', secret), signature: '' },
      null,
    ]
    for (const externalAccountBinding of bad) {
      const answer = await asking.register({ externalAccountBinding })
      assert.ok(answer.status === 400 || answer.status === 403, answer.text)
    }
    assert.equal((await asking.register({ externalAccountBinding: asking.binding('team', secret) })).status, 201)
    externalAccounts.delete('team')
    externalAccounts.set('another', { key: createHmac('sha256', 'x').digest(), allow: allowList([]) })
    assert.equal(type((await asking.order('a.orders.internal')).body), 'unauthorized')
  })
})
