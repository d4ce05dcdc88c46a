/** An ACME client for tests that can also do everything wrong: each request is made of parts that may be replaced. */
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Answer } from '../../src/acme-server/terms.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'

export type Sent = {
  /** Members of the protected header that replace those of a good request; undefined leaves one out */
  header?: Record<string, unknown>
  /** '' is POST-as-GET */
  payload?: unknown
  key?: KeyObject
  /** The last word on the whole JWS */
  spoil?: (jws: Record<string, unknown>) => unknown
  contentType?: string
}

export type Asks = (request: {
  method: string
  path: string
  contentType: string
  body: Buffer
  remote: string
}) => Promise<Answer>

// biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes, looked at by tests
export type Answered = { status: number; body: any; text: string; field(name: string): string | undefined }

const base64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

const algorithmOf = (key: KeyObject) =>
  key.asymmetricKeyType === 'rsa'
    ? 'RS256'
    : key.asymmetricKeyType === 'ed25519'
      ? 'EdDSA'
      : key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
        ? 'ES384'
        : 'ES256'

const signWith = (key: KeyObject, text: string) => {
  const digests: Record<string, string | null> = { ES256: 'sha256', RS256: 'sha256', ES384: 'sha384', EdDSA: null }
  const options = { key, dsaEncoding: 'ieee-p1363' } as const
  return sign(digests[algorithmOf(key)], Buffer.from(text), options).toString('base64url')
}

export const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
export const jwkOf = (key: KeyObject) => createPublicKey(key).export({ format: 'jwk' })

export class TestAcmeClient {
  readonly base: string
  readonly asks: Asks
  key: KeyObject
  kid: string | null = null
  nonce = ''
  remote = '192.0.2.1'

  constructor(base: string, asks: Asks, key: KeyObject = newKey()) {
    this.base = base
    this.asks = asks
    this.key = key
  }

  async get(path: string, method = 'GET'): Promise<Answered> {
    return answered(await this.asks({ method, path, contentType: '', body: Buffer.alloc(0), remote: this.remote }))
  }

  /** @param url absolute, or a path */
  async post(url: string, payload: unknown, sent: Sent = {}): Promise<Answered> {
    const path = url.startsWith(this.base) ? url.slice(this.base.length) : url
    if (this.nonce === '') this.nonce = (await this.get('/new-nonce', 'HEAD')).field('replay-nonce') as string
    const key = sent.key ?? this.key
    const who = this.kid === null ? { jwk: jwkOf(key) } : { kid: this.kid }
    const header = { alg: algorithmOf(key), nonce: this.nonce, url: this.base + path, ...who, ...sent.header }
    const jws = this.jws(header, 'payload' in sent ? sent.payload : payload, key)
    const body = Buffer.from(JSON.stringify(sent.spoil ? sent.spoil(jws) : jws))
    const contentType = sent.contentType ?? 'application/jose+json'
    const answer = answered(await this.asks({ method: 'POST', path, contentType, body, remote: this.remote }))
    this.nonce = answer.field('replay-nonce') ?? ''
    return answer
  }

  jws(header: object, payload: unknown, key: KeyObject): Record<string, unknown> {
    const head = base64(header)
    const text = base64(payload)
    return { protected: head, payload: text, signature: signWith(key, `${head}.${text}`) }
  }

  binding(kid: string, secret: Uint8Array, change: Record<string, unknown> = {}, key = this.key): object {
    const head = base64({ alg: 'HS256', kid, url: `${this.base}/new-account`, ...change })
    const text = base64(jwkOf(key))
    const signature = createHmac('sha256', secret).update(`${head}.${text}`).digest('base64url')
    return { protected: head, payload: text, signature }
  }

  async register(payload: Record<string, unknown> = {}): Promise<Answered> {
    const answer = await this.post('/new-account', { termsOfServiceAgreed: true, ...payload })
    if (answer.status < 300) this.kid = answer.field('location') as string
    return answer
  }

  order(...names: string[]): Promise<Answered> {
    const identifiers = names.map(value => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value }))
    return this.post('/new-order', { identifiers })
  }

  finalize(order: Answered, names: readonly string[], key = newKey()): Promise<Answered> {
    return this.post(order.body.finalize, { csr: buildCsr(names, key).toString('base64url') })
  }
}

function answered({ status, fields, body }: Answer): Answered {
  const json = /json/.test(fields['content-type'] ?? '')
  return { status, body: json ? JSON.parse(body) : null, text: body, field: name => fields[name] }
}
