/** Orders and the certificates they end in (RFC 8555 sections 7.1.3, 7.4 and 7.4.2; `replaces` of RFC 9773 section 5). */
import { createPublicKey } from 'node:crypto'
import { AuthorityError, CsrError, type CsrFields } from '../model/authority.ts'
import { type Authorizations, authorizationStatus, fitting, makeAuthorization } from './authorizations.ts'
import { decode, type Jwk, keyOf } from './jws.ts'
import { readIdentifiers } from './names.ts'
import { AcmeProblem, type Identifier, malformed, notFound, rateLimited, typeOf, unauthorized } from './problem.ts'
import { type Account, type Authorization, newId, type Order } from './records.ts'
import { recordOfId } from './revocation.ts'
import { type Answer, jsonAnswer, profiles, type Shared, timeOf } from './terms.ts'

const pendingMs = 3_600_000
const mostIdentifiers = 50
const mostOrders = 2_000

export class Orders {
  readonly #shared: Shared
  readonly #authorizations: Authorizations

  constructor(shared: Shared, authorizations: Authorizations) {
    this.#shared = shared
    this.#authorizations = authorizations
  }

  async create(account: Account, payload: Record<string, unknown>): Promise<Answer> {
    const shared = this.#shared
    const identifiers = readIdentifiers(payload['identifiers'], mostIdentifiers)
    const preauthorized = this.#preauthorized(account)
    checkNames(shared, identifiers, preauthorized)
    const profile = readProfile(payload['profile'])
    const lifetimeMs = readLifetime(shared, payload)
    const replaces = await this.#readReplaces(account, payload['replaces'])
    shared.limits.take('order', account.id)
    if ((await shared.records.orders(account.id)).length >= mostOrders)
      throw rateLimited(`the account has ${mostOrders} orders that have not ended`, 3_600_000)
    const authorizations = identifiers.map(each =>
      makeAuthorization(shared, account, each, preauthorized(each.value)),
    )
    for (const each of authorizations) await shared.records.putAuthorization(each)
    const order: Order = {
      id: newId(),
      account: account.id,
      status: 'pending',
      expiresAt: shared.now() + pendingMs,
      identifiers,
      authorizations: authorizations.map(each => each.id),
      profile,
      lifetimeMs,
      replaces,
      serial: null,
      error: null,
    }
    await shared.records.putOrder(order)
    return this.#answer(201, order)
  }

  async read(account: Account, id: string): Promise<Answer> {
    return this.#answer(200, await this.#find(account, id))
  }

  async list(account: Account): Promise<Answer> {
    const ids = await this.#shared.records.orders(account.id)
    return jsonAnswer(200, { orders: ids.map(id => this.#url(account.id, id)) })
  }

  async finalize(account: Account, id: string, payload: Record<string, unknown>): Promise<Answer> {
    const shared = this.#shared
    const order = await this.#find(account, id)
    const status = await this.#status(order)
    // Sent again because the answer was lost: the certificate is there (section 7.4 has no word on it, clients do it).
    if (status === 'valid') return this.#answer(200, order)
    if (status !== 'ready') throw new AcmeProblem('orderNotReady', 403, `the order is ${status}, not ready`)
    if (typeof payload['csr'] !== 'string') throw malformed('csr is missing')
    // The list may have become shorter, or the external account have gone, since the order was made.
    const preauthorized = this.#preauthorized(account)
    checkNames(shared, order.identifiers, preauthorized)
    await this.#checkProofs(order, preauthorized)
    const csr = readRequest(shared, decode(payload['csr'], 'csr'), order.identifiers, account.jwk)
    const profile = profiles[order.profile ?? 'tlsserver'] as (typeof profiles)[string]
    const issued = await shared.authority
      .issue({
        publicKey: csr.publicKey,
        names: order.identifiers.map(each => each.value),
        uris: [],
        use: profile.use,
        lifetimeMs: order.lifetimeMs,
        requester: `acme ${account.id}`,
      })
      .catch(error => {
        throw error instanceof AuthorityError ? new AcmeProblem('rejectedIdentifier', 403, error.message) : error
      })
    const { serial, notAfter } = issued
    await shared.records.putCertificate(account.id, serial, issued.chainPem, notAfter)
    const done: Order = { ...order, status: 'valid', serial, expiresAt: notAfter }
    await shared.records.putOrder(done)
    if (order.replaces !== null) {
      const replaced = await recordOfId(shared, order.replaces)
      if (replaced !== null) await shared.records.putReplaced(replaced.serial, replaced.notAfter)
    }
    shared.log.write('info', 'internal CA: certificate issued', {
      account: account.id,
      external: account.external,
      names: order.identifiers.map(each => each.value).join(' '),
      serial,
      notAfter: timeOf(notAfter),
    })
    return this.#answer(200, done)
  }

  /** A name that was given without a challenge is given while it is on the list, and no longer. */
  async #checkProofs(order: Order, preauthorized: (name: string) => boolean): Promise<void> {
    for (const id of order.authorizations) {
      const found: Authorization | null = await this.#shared.records.authorization(order.account, id)
      if (found === null || found.challenges.length > 0) continue
      const value = found.wildcard ? `*.${found.identifier.value}` : found.identifier.value
      if (!preauthorized(value))
        throw unauthorized(
          `${value} is no longer on the allow list of the external account, and was not validated; create a new order`,
        )
    }
  }

  async certificate(account: Account, serial: string): Promise<Answer> {
    const found = await this.#shared.records.certificate(account.id, serial)
    if (found === null) throw notFound('certificate')
    return { status: 200, fields: { 'content-type': 'application/pem-certificate-chain' }, body: found.chainPem }
  }

  /** Which names this account gets without a challenge. Throws where its external account is no more. */
  #preauthorized(account: Account): (name: string) => boolean {
    const { externalAccounts } = this.#shared
    if (account.external === null) {
      if (externalAccounts.size === 0) return () => false
      throw new AcmeProblem(
        'externalAccountRequired',
        403,
        'the account was made before external accounts were asked for; make a new one',
      )
    }
    const external = externalAccounts.get(account.external)
    if (external === undefined)
      throw unauthorized('the external account that this account is bound to no longer exists')
    return external.allow
  }

  async #readReplaces(account: Account, value: unknown): Promise<string | null> {
    if (value === undefined) return null
    if (typeof value !== 'string' || value.length > 100) throw malformed('replaces is a certificate id (RFC 9773)')
    const record = await recordOfId(this.#shared, value)
    if (record === null) throw malformed('replaces: no such certificate was issued here')
    if (record.requester !== `acme ${account.id}`)
      throw unauthorized('replaces: the certificate is of another account')
    if (await this.#shared.records.isReplaced(record.serial))
      throw new AcmeProblem('alreadyReplaced', 409, 'replaces: the certificate was replaced already')
    return value
  }

  async #find(account: Account, id: string): Promise<Order> {
    const order = await this.#shared.records.order(account.id, id)
    if (order === null) throw notFound('order')
    return order
  }

  async #status(order: Order): Promise<'pending' | 'ready' | 'valid' | 'invalid'> {
    if (order.status !== 'pending') return order.status
    const now = this.#shared.now()
    if (now > order.expiresAt) return 'invalid'
    const found = await Promise.all(
      order.authorizations.map(id => this.#shared.records.authorization(order.account, id)),
    )
    const all = found.map(each => (each === null ? 'expired' : authorizationStatus(each, now)))
    if (all.every(status => status === 'valid')) return 'ready'
    return all.some(status => status !== 'valid' && status !== 'pending') ? 'invalid' : 'pending'
  }

  #url(account: string, id: string): string {
    return `${this.#shared.baseUrl}/order/${account}/${id}`
  }

  async #answer(code: number, order: Order): Promise<Answer> {
    const { account, id, identifiers, expiresAt, profile, replaces, serial } = order
    const status = await this.#status(order)
    const url = this.#url(account, id)
    const body = {
      status,
      expires: timeOf(expiresAt),
      identifiers,
      authorizations: order.authorizations.map(each => this.#authorizations.url(account, each)),
      finalize: `${url}/finalize`,
      ...(profile === null ? {} : { profile }),
      ...(replaces === null ? {} : { replaces }),
      ...(serial === null ? {} : { certificate: `${this.#shared.baseUrl}/certificate/${account}/${serial}` }),
      ...(status === 'invalid' ? { error: await this.#error(order) } : {}),
    }
    return jsonAnswer(code, body, { location: url })
  }

  /** The failure of a challenge, where that is why. */
  async #error(order: Order): Promise<object> {
    for (const id of order.authorizations) {
      const authorization: Authorization | null = await this.#shared.records.authorization(order.account, id)
      const failed = authorization?.challenges.find(each => each.error !== null)
      if (failed?.error) return failed.error
    }
    return { type: typeOf('malformed'), detail: 'the order or one of its authorizations has ended', status: 403 }
  }
}

/** Every name that cannot be given is named (subproblems, section 6.7.1). */
function checkNames(
  shared: Shared,
  identifiers: readonly Identifier[],
  preauthorized: (name: string) => boolean,
): void {
  const wrong = identifiers.flatMap(identifier => {
    const { value } = identifier
    const free = preauthorized(value)
    const why =
      shared.authority.refusal(value) ??
      (shared.allow !== null && !shared.allow(value) ? `${value} is not among the names of this CA` : null) ??
      (free || fitting(shared.challenges, identifier).length > 0
        ? null
        : `${value} is not on the list of the external account, and no challenge of this server can prove it`)
    return why === null ? [] : [{ type: typeOf('rejectedIdentifier'), detail: why, identifier }]
  })
  if (wrong.length === 0) return
  throw new AcmeProblem('rejectedIdentifier', 403, wrong[0]?.detail as string, {
    members: wrong.length > 1 ? { subproblems: wrong } : {},
  })
}

function readProfile(value: unknown): string | null {
  if (value === undefined) return null
  if (typeof value === 'string' && Object.hasOwn(profiles, value)) return value
  throw new AcmeProblem('invalidProfile', 400, `the profiles are ${Object.keys(profiles).join(', ')}`)
}

const slackMs = 300_000

function readLifetime(shared: Shared, payload: Record<string, unknown>): number {
  const now = shared.now()
  const timeIn = (name: string): number | null => {
    const value = payload[name]
    if (value === undefined) return null
    const ms = typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN
    if (Number.isNaN(ms)) throw malformed(`${name} is a time as in RFC 3339`)
    return ms
  }
  const begin = timeIn('notBefore')
  if (begin !== null && Math.abs(begin - now) > slackMs)
    throw malformed('notBefore: certificates begin when they are issued')
  const end = timeIn('notAfter')
  if (end === null) return shared.lifetimeMs
  const wanted = end - now
  if (wanted < 60_000 || wanted > shared.longestMs + slackMs)
    throw malformed(`notAfter: certificates live for a minute to ${Math.floor(shared.longestMs / 60_000)} minutes`)
  return Math.min(wanted, shared.longestMs)
}

/** The names are those of the order, no more and no fewer, and the key is not the account's (section 7.4, 11.1). */
function readRequest(shared: Shared, der: Buffer, identifiers: readonly Identifier[], jwk: Jwk): CsrFields {
  let csr: CsrFields
  try {
    csr = shared.authority.readCsr(der)
  } catch (error) {
    if (!(error instanceof CsrError)) throw error
    throw new AcmeProblem(error.kind === 'key' ? 'badPublicKey' : 'badCSR', 400, error.message)
  }
  if (csr.uris.length > 0) throw new AcmeProblem('badCSR', 400, 'the request has URIs, which cannot be ordered')
  const ordered = identifiers.map(each => each.value).sort()
  const asked = [...csr.names].sort()
  if (ordered.join() !== asked.join())
    throw new AcmeProblem(
      'badCSR',
      400,
      `the request is for ${asked.join(', ').slice(0, 500) || 'no names'}, the order for ${ordered.join(', ')}`,
    )
  const spki = (key: CsrFields['publicKey']) =>
    createPublicKey(key.export({ type: 'spki', format: 'pem' })).export({ type: 'spki', format: 'der' })
  if (spki(csr.publicKey).equals(spki(keyOf(jwk))))
    throw new AcmeProblem('badPublicKey', 400, 'the key of the certificate is the key of the account')
  return csr
}
