/**
 * An ACME CA for tests that does what it is told, the worst included. Strict where RFC 8555 is: nonces count once,
 * signatures, `url` and `kid` are checked, an order finalizes once. Each request can be answered by the test instead.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import http from 'node:http'
import type net from 'node:net'
import { calculateJwkThumbprint, flattenedVerify, importJWK, type JWK } from 'jose'
import { publicKeyOf } from '../../src/acme/certificate.ts'
import { sortNames } from '../../src/certs/x509/names.ts'
import { buildCertificate } from '../../src/certs/x509/x509-build.ts'
import { type TestCa, testCa } from './certificates.ts'

export type RequestKind =
  | 'directory'
  | 'newNonce'
  | 'newAccount'
  | 'account'
  | 'newOrder'
  | 'order'
  | 'authz'
  | 'challenge'
  | 'finalize'
  | 'cert'
  | 'revokeCert'
  | 'keyChange'
  | 'renewalInfo'

export type Seen = { readonly kind: RequestKind; readonly index: number; readonly payload: Json | null }
// biome-ignore lint/suspicious/noExplicitAny: JSON of clients, taken as it comes
type Json = Record<string, any>

/** `after`: the request is carried out, and then its answer is lost. */
export type Script =
  | { readonly reset: 'before' | 'after' }
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string | Buffer }
  | null

type FakeOrder = {
  status: string
  names: string[]
  authz: string[]
  certificate: string | null
  account: string
  replaces: string | null
  profile: string | null
  error?: Json
}
type FakeAuthz = {
  status: string
  name: string
  wildcard: boolean
  token: string
  error: Json | null
  answered: string | null
}

export type FakeAcme = {
  readonly url: string
  readonly seen: Seen[]
  readonly orders: Map<string, FakeOrder>
  readonly authz: Map<string, FakeAuthz>
  readonly accounts: Map<string, { jwk: JWK; contact: string[]; status: string; binding: string | null }>
  readonly revoked: Set<string>
  readonly ca: TestCa
  /** Asked for each request before it is looked at */
  script: (seen: Seen) => Script
  /** Whether a challenge is passed; by default it is, with no look at the answer */
  validate: (name: string, kind: string, token: string, keyAuthorization: string) => Json | null | 'never'
  /** Changes to what is answered */
  directoryExtra: Json
  /** The public key that certificates are for; by default that of the request */
  leafKey: ((csr: Buffer) => ReturnType<typeof createPublicKey>) | null
  /** How many readings of an order show it processing */
  processingReads: number
  renewal: { status: number; headers?: Record<string, string>; body: string } | null
  /** Key id to HMAC key: made for customers only */
  externalKeys: Map<string, string> | null
  alternate: TestCa | null
  count(kind: RequestKind): number
  /** Every nonce given out so far is refused from now on */
  forgetNonces(): void
  close(): Promise<void>
}

const error = (type: string, detail: string): Json => ({ type: `urn:ietf:params:acme:error:${type}`, detail })

class Refusal extends Error {
  readonly status: number
  readonly problem: Json
  constructor(status: number, type: string, detail: string) {
    super(detail)
    this.status = status
    this.problem = error(type, detail)
  }
}

export async function fakeAcme(): Promise<FakeAcme> {
  const ca = testCa('Fake ACME CA')
  const nonces = new Set<string>()
  const thumbprints = new Map<string, string>()
  const certificates = new Map<string, string>()
  const reads = new Map<string, number>()
  let serial = 0
  let url = ''
  const fake: FakeAcme = {
    url: '',
    seen: [],
    orders: new Map(),
    authz: new Map(),
    accounts: new Map(),
    revoked: new Set(),
    ca,
    script: () => null,
    validate: () => null,
    directoryExtra: {},
    leafKey: null,
    processingReads: 0,
    renewal: null,
    externalKeys: null,
    alternate: null,
    count: kind => fake.seen.filter(one => one.kind === kind).length,
    forgetNonces: () => nonces.clear(),
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }

  const nonce = () => {
    const made = `n${++serial}-${Math.random().toString(36).slice(2)}`
    nonces.add(made)
    return made
  }

  async function verify(body: Buffer, path: string, kind: RequestKind) {
    const jws = JSON.parse(body.toString())
    const header = JSON.parse(Buffer.from(jws.protected, 'base64url').toString())
    if (!nonces.delete(header.nonce)) throw new Refusal(400, 'badNonce', 'that nonce is unknown')
    if (header.url !== `${url}${path}`) throw new Refusal(401, 'unauthorized', 'the url is another')
    if (header.alg !== 'ES256' && kind !== 'revokeCert') throw new Refusal(400, 'badSignatureAlgorithm', header.alg)
    if ((header.jwk === undefined) === (header.kid === undefined)) throw new Refusal(400, 'malformed', 'jwk or kid')
    const account = header.kid === undefined ? null : fake.accounts.get(header.kid)
    if (account === undefined) throw new Refusal(400, 'accountDoesNotExist', 'no such account')
    if (account !== null && account.status !== 'valid')
      throw new Refusal(401, 'unauthorized', 'the account is deactivated')
    const jwk: JWK = account === null ? header.jwk : account.jwk
    if (jwk.d !== undefined) throw new Refusal(400, 'malformed', 'a private key was sent')
    let payload: Uint8Array
    try {
      payload = (await flattenedVerify(jws, await importJWK(jwk, header.alg))).payload
    } catch {
      throw new Refusal(400, 'malformed', 'JWS verification error')
    }
    const text = Buffer.from(payload).toString()
    return { jwk, kid: (header.kid as string | undefined) ?? null, payload: text === '' ? null : JSON.parse(text) }
  }

  const orderBody = (id: string): Json => {
    const order = fake.orders.get(id) as FakeOrder
    const names = order.names.map(value => ({ type: /^[0-9.]+$|:/.test(value) ? 'ip' : 'dns', value }))
    if (order.status === 'pending' && order.authz.every(one => fake.authz.get(one)?.status === 'valid'))
      order.status = 'ready'
    if (order.authz.some(one => fake.authz.get(one)?.status === 'invalid')) order.status = 'invalid'
    return {
      status: order.status,
      expires: new Date(Date.now() + 86_400_000).toISOString(),
      identifiers: names,
      authorizations: order.authz.map(one => `${url}/authz/${one}`),
      finalize: `${url}/finalize/${id}`,
      ...(order.certificate === null ? {} : { certificate: order.certificate }),
      ...(order.error === undefined ? {} : { error: order.error }),
    }
  }

  const authzBody = (id: string): Json => {
    const one = fake.authz.get(id) as FakeAuthz
    const kinds = one.wildcard ? ['dns-01'] : ['http-01', 'dns-01', 'tls-alpn-01', 'future-09']
    return {
      status: one.status,
      identifier: { type: 'dns', value: one.name },
      ...(one.wildcard ? { wildcard: true } : {}),
      challenges: kinds.map(type => ({
        type,
        url: `${url}/challenge/${id}.${type}`,
        token: one.token,
        status: one.answered === type ? one.status : 'pending',
        ...(one.answered === type && one.error ? { error: one.error } : {}),
      })),
    }
  }

  function issue(csr: Buffer, names: string[], by: TestCa): string {
    const pem = buildCertificate({
      ...sortNames(names),
      subject: {},
      issuer: by.subjectDer,
      publicKey: fake.leafKey?.(csr) ?? publicKeyOf(csr),
      signingKey: by.key,
      notBefore: Date.now() - 3_600_000,
      notAfter: Date.now() + 90 * 86_400_000,
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth'],
      authorityKeyId: by.keyId,
    }).pem
    return pem + by.certificatePem
  }

  type Answer = { status: number; headers?: Record<string, string>; body?: Json | string }

  async function handle(
    kind: RequestKind,
    id: string,
    method: string,
    body: Buffer,
    path: string,
  ): Promise<Answer> {
    if (kind === 'directory')
      return {
        status: 200,
        body: {
          newNonce: `${url}/newNonce`,
          newAccount: `${url}/newAccount`,
          newOrder: `${url}/newOrder`,
          revokeCert: `${url}/revokeCert`,
          keyChange: `${url}/keyChange`,
          ...(fake.renewal ? { renewalInfo: `${url}/renewalInfo` } : {}),
          meta: { externalAccountRequired: fake.externalKeys !== null },
          ...fake.directoryExtra,
        },
      }
    if (kind === 'newNonce') return { status: method === 'HEAD' ? 200 : 204 }
    if (kind === 'renewalInfo') return fake.renewal as Answer
    const { jwk, kid, payload } = await verify(body, path, kind)
    ;(fake.seen.at(-1) as { payload: Json | null }).payload = payload
    if (kind === 'newAccount') {
      const print = await calculateJwkThumbprint(jwk)
      const known = thumbprints.get(print)
      if (known !== undefined) return { status: 200, headers: { location: known }, body: { status: 'valid' } }
      if (payload.onlyReturnExisting) throw new Refusal(400, 'accountDoesNotExist', 'no such account')
      let binding: string | null = null
      if (fake.externalKeys !== null) {
        const inner = payload.externalAccountBinding
        if (!inner) throw new Refusal(403, 'externalAccountRequired', 'customers only')
        const header = JSON.parse(Buffer.from(inner.protected, 'base64url').toString())
        const mac = fake.externalKeys.get(header.kid)
        const ok = mac && (await flattenedVerify(inner, Buffer.from(mac, 'base64url')).catch(() => null))
        if (!ok || header.url !== `${url}/newAccount`) throw new Refusal(403, 'unauthorized', 'bad binding')
        binding = header.kid
      }
      const made = `${url}/account/${++serial}`
      fake.accounts.set(made, { jwk, contact: payload.contact, status: 'valid', binding })
      thumbprints.set(print, made)
      return { status: 201, headers: { location: made }, body: { status: 'valid' } }
    }
    if (kind === 'account') {
      const account = fake.accounts.get(kid as string)!
      if (payload?.contact) account.contact = payload.contact
      if (payload?.status) account.status = payload.status
      return { status: 200, body: { status: account.status } }
    }
    if (kind === 'keyChange') {
      const inner = JSON.parse(Buffer.from(payload.protected, 'base64url').toString())
      const said = JSON.parse(Buffer.from(payload.payload, 'base64url').toString())
      await flattenedVerify(payload, await importJWK(inner.jwk, 'ES256'))
      if (inner.nonce !== undefined || inner.url !== `${url}/keyChange` || said.account !== kid)
        throw new Refusal(400, 'malformed', 'key change')
      const account = fake.accounts.get(kid as string)!
      if ((await calculateJwkThumbprint(said.oldKey)) !== (await calculateJwkThumbprint(account.jwk)))
        throw new Refusal(400, 'malformed', 'old key')
      thumbprints.delete(await calculateJwkThumbprint(account.jwk))
      thumbprints.set(await calculateJwkThumbprint(inner.jwk), kid as string)
      account.jwk = inner.jwk
      return { status: 200, body: {} }
    }
    if (kind === 'newOrder') {
      const names = payload.identifiers.map((one: Json) => one['value']) as string[]
      const authz = names.map(name => {
        const made = String(++serial)
        const wildcard = name.startsWith('*.')
        const token = `token-${serial}_${Math.random().toString(36).slice(2)}`
        fake.authz.set(made, {
          status: 'pending',
          name: name.replace('*.', ''),
          wildcard,
          token,
          error: null,
          answered: null,
        })
        return made
      })
      const made = String(++serial)
      const { replaces = null, profile = null } = payload
      if (replaces !== null && [...fake.orders.values()].some(one => one.replaces === replaces))
        throw new Refusal(409, 'alreadyReplaced', 'replaced before')
      fake.orders.set(made, {
        status: 'pending',
        names,
        authz,
        certificate: null,
        account: kid as string,
        replaces,
        profile,
      })
      return { status: 201, headers: { location: `${url}/order/${made}` }, body: orderBody(made) }
    }
    if (kind === 'order') {
      const order = fake.orders.get(id)
      if (!order || order.account !== kid) throw new Refusal(404, 'malformed', 'no such order')
      if (order.status === 'processing') {
        const left = (reads.get(id) ?? 0) - 1
        reads.set(id, left)
        if (left <= 0) order.status = 'valid'
      }
      const shown = orderBody(id)
      if (order.status !== 'valid') delete shown['certificate']
      return { status: 200, body: shown }
    }
    if (kind === 'authz') {
      if (!fake.authz.has(id)) throw new Refusal(404, 'malformed', 'no such authorization')
      return { status: 200, body: authzBody(id) }
    }
    if (kind === 'challenge') {
      const [authzId, type] = [id.slice(0, id.indexOf('.')), id.slice(id.indexOf('.') + 1)]
      const one = fake.authz.get(authzId) as FakeAuthz
      if (one.status !== 'pending') throw new Refusal(400, 'malformed', `cannot update a ${one.status} challenge`)
      one.answered = type
      const print = await calculateJwkThumbprint(jwk)
      const verdict = fake.validate(one.name, type, one.token, `${one.token}.${print}`)
      if (verdict === null) one.status = 'valid'
      else if (verdict !== 'never') {
        one.status = 'invalid'
        one.error = verdict
      }
      return { status: 200, body: authzBody(authzId)['challenges'].find((each: Json) => each['type'] === type) }
    }
    if (kind === 'finalize') {
      const order = fake.orders.get(id) as FakeOrder
      orderBody(id)
      if (order.status !== 'ready') throw new Refusal(403, 'orderNotReady', `the order is ${order.status}`)
      const csr = Buffer.from(payload.csr, 'base64url')
      certificates.set(id, issue(csr, order.names, ca))
      if (fake.alternate) certificates.set(`${id}-alternate`, issue(csr, order.names, fake.alternate))
      order.certificate = `${url}/cert/${id}`
      order.status = fake.processingReads > 0 ? 'processing' : 'valid'
      reads.set(id, fake.processingReads)
      const shown = orderBody(id)
      if (order.status === 'processing') delete shown['certificate']
      return { status: 200, body: shown }
    }
    if (kind === 'cert') {
      const link: Record<string, string> =
        fake.alternate && !id.endsWith('-alternate')
          ? { link: `<${url}/cert/${id}-alternate>;rel="alternate"` }
          : {}
      return {
        status: 200,
        headers: { 'content-type': 'application/pem-certificate-chain', ...link },
        body: certificates.get(id) as string,
      }
    }
    const certificate = new X509Certificate(Buffer.from(payload.certificate, 'base64url'))
    const spki = (one: KeyObject) => one.export({ type: 'spki', format: 'der' })
    const own = createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' })
    const isOwn = kid !== null || spki(own).equals(spki(certificate.publicKey))
    if (!isOwn) throw new Refusal(403, 'unauthorized', 'not yours')
    if (fake.revoked.has(certificate.serialNumber)) throw new Refusal(400, 'alreadyRevoked', 'twice')
    fake.revoked.add(certificate.serialNumber)
    return { status: 200 }
  }

  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', async () => {
      const [kind, id = ''] = (request.url as string).slice(1).split('/') as [RequestKind, string]
      const seen: Seen = { kind, index: fake.seen.length, payload: null }
      fake.seen.push(seen)
      const scripted = fake.script(seen)
      if (scripted !== null && 'reset' in scripted && scripted.reset === 'before') return request.socket.destroy()
      if (scripted !== null && 'status' in scripted) {
        const headers = { 'replay-nonce': nonce(), 'content-type': 'application/problem+json', ...scripted.headers }
        return response.writeHead(scripted.status, headers).end(scripted.body ?? '')
      }
      let answer: Answer
      try {
        answer = await handle(kind, id, request.method as string, Buffer.concat(chunks), request.url as string)
      } catch (fault) {
        if (!(fault instanceof Refusal)) {
          answer = { status: 500, body: error('serverInternal', String((fault as Error).stack)) }
        } else answer = { status: fault.status, body: fault.problem }
      }
      if (scripted !== null && 'reset' in scripted) return request.socket.destroy()
      const text = typeof answer.body === 'string' ? answer.body : answer.body ? JSON.stringify(answer.body) : ''
      const headers = { 'replay-nonce': nonce(), 'content-type': 'application/json', ...answer.headers }
      return response.writeHead(answer.status, headers).end(text)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
  ;(fake as { url: string }).url = `${url}/directory`
  return fake
}
