/**
 * The ACME server (RFC 8555) as a function from requests to answers: no sockets here. serve.ts puts it on a port.
 *
 * A request is refused in this order: form, algorithm, nonce, URL, account, signature. Only then is its nonce used up and
 * anything looked at that is inside; so a stranger costs one signature check at most, within his rate.
 */
import { createPublicKey } from 'node:crypto'
import { messageOf } from '../base/errors.ts'
import { StorageError } from '../model/storage.ts'
import { accountUrl, changeKey, newAccount, updateAccount } from './accounts.ts'
import { Authorizations } from './authorizations.ts'
import { checkSignature, type Jws, keyOf, parseJson, parseJws } from './jws.ts'
import { Limits } from './limits.ts'
import { Nonces } from './nonces.ts'
import { Orders } from './orders.ts'
import { AcmeProblem, malformed, notFound, rateLimited, unauthorized } from './problem.ts'
import { type Account, AcmeRecords, idPattern } from './records.ts'
import { renewalInfo, revoke } from './revocation.ts'
import { type AcmeServerTerms, type Answer, jsonAnswer, profiles, type Shared } from './terms.ts'

type AcmeRequest = {
  readonly method: string
  /** From the root, with the query */
  readonly path: string
  readonly contentType: string
  /** At most maxBodyBytes of it */
  readonly body: Buffer
  /** The client's address */
  readonly remote: string
}

export const maxBodyBytes = 64 * 1024

/** Requests of one account that wait for their turn */
const mostWaiting = 32

export class AcmeServer {
  readonly #shared: Shared
  readonly #authorizations: Authorizations
  readonly #orders: Orders
  readonly #turns = new Map<string, { last: Promise<unknown>; waiting: number }>()

  constructor(terms: AcmeServerTerms) {
    this.#shared = {
      ...terms,
      records: new AcmeRecords(terms.storage, terms.log, terms.now),
      nonces: new Nonces(terms.now),
      limits: new Limits(terms.now),
      inTurn: (account, action) => this.#inTurn(account, action),
    }
    this.#authorizations = new Authorizations(this.#shared)
    this.#orders = new Orders(this.#shared, this.#authorizations)
  }

  /** Never throws. */
  async handle(request: AcmeRequest): Promise<Answer> {
    const answer = await this.#answer(request)
    const fields: Record<string, string> = {
      'cache-control': 'no-store',
      link: `<${this.#shared.baseUrl}/directory>;rel="index"`,
      ...answer.fields,
    }
    if (answer.fields['link'] !== undefined) fields['link'] += `, <${this.#shared.baseUrl}/directory>;rel="index"`
    // Section 6.5: every answer to a POST has one, also a refusal, above all that of a bad nonce.
    if (request.method === 'POST' || request.path === '/new-nonce')
      fields['replay-nonce'] = this.#shared.nonces.create()
    return { ...answer, fields }
  }

  close(): void {
    this.#authorizations.close()
  }

  async #answer(request: AcmeRequest): Promise<Answer> {
    try {
      this.#shared.limits.take('request', request.remote)
      const { method } = request
      if (method === 'POST') return await this.#post(request)
      if (method === 'GET' || method === 'HEAD') return await this.#get(request)
      return { status: 405, fields: { allow: 'GET, HEAD, POST' }, body: '' }
    } catch (error) {
      return this.#problem(error)
    }
  }

  #problem(error: unknown): Answer {
    const known = error instanceof AcmeProblem
    if (!known) this.#shared.log.write('error', 'internal CA: a request failed', { reason: messageOf(error) })
    const away = error instanceof StorageError
    const problem = known
      ? error
      : new AcmeProblem(
          'serverInternal',
          away ? 503 : 500,
          away ? 'the storage cannot be used at present' : 'a fault of the server',
          {
            fields: { 'retry-after': '30' },
          },
        )
    return jsonAnswer(problem.status, problem.document, {
      'content-type': 'application/problem+json',
      ...problem.fields,
    })
  }

  async #get({ path, method }: AcmeRequest): Promise<Answer> {
    if (path === '/directory' || path === '/') return jsonAnswer(200, this.#directory())
    if (path === '/new-nonce') return { status: method === 'HEAD' ? 200 : 204, fields: {}, body: '' }
    const found = /^\/renewal-info\/([^/]{1,200})$/.exec(path)
    if (found !== null) return renewalInfo(this.#shared, found[1] as string)
    // Section 6.3: what is not public is read with POST-as-GET.
    throw /^\/(account|order|orders|authorization|challenge|certificate)\//.test(path)
      ? new AcmeProblem('malformed', 405, 'this is read with POST-as-GET', { fields: { allow: 'POST' } })
      : notFound('resource')
  }

  #directory(): object {
    const { baseUrl, externalAccounts } = this.#shared
    const about = Object.entries(profiles).map(([name, profile]) => [name, profile.about])
    return {
      newNonce: `${baseUrl}/new-nonce`,
      newAccount: `${baseUrl}/new-account`,
      newOrder: `${baseUrl}/new-order`,
      revokeCert: `${baseUrl}/revoke-cert`,
      keyChange: `${baseUrl}/key-change`,
      renewalInfo: `${baseUrl}/renewal-info`,
      meta: { externalAccountRequired: externalAccounts.size > 0, profiles: Object.fromEntries(about) },
    }
  }

  async #post(request: AcmeRequest): Promise<Answer> {
    const { path, remote } = request
    const shared = this.#shared
    if (request.contentType.split(';')[0]?.trim().toLowerCase() !== 'application/jose+json')
      throw new AcmeProblem('malformed', 415, 'a request is application/jose+json')
    if (request.body.length > maxBodyBytes)
      throw new AcmeProblem('malformed', 413, `a request has at most ${maxBodyBytes} bytes`)
    const jws = parseJws(parseJson(request.body, 'the request'))
    const url = `${shared.baseUrl}${path}`
    if (jws.nonce === null || !shared.nonces.isGood(jws.nonce))
      throw new AcmeProblem('badNonce', 400, 'the nonce is missing, used, too old, or none of ours')
    if (jws.url !== url) throw unauthorized('the url that was signed is not the one that was asked for')
    if (path === '/new-account') {
      const jwk = this.#signedByJwk(jws, 'an account is made with jwk')
      // One at a time, so that two requests with one key cannot make two accounts.
      return this.#inTurn('', () => newAccount(shared, objectIn(jws), jwk, url, remote))
    }
    if (path === '/revoke-cert' && jws.jwk !== null) {
      const key = createPublicKey(keyOf(this.#signedByJwk(jws, '')).export({ type: 'spki', format: 'pem' }))
      return revoke(shared, objectIn(jws), key.export({ type: 'spki', format: 'der' }))
    }
    const account = await this.#signedByAccount(jws)
    return this.#inTurn(account.id, async () => this.#ofAccount(path, url, await this.#current(account), jws))
  }

  /** Again, when it is its turn: the request before may have deactivated it, or changed its key. */
  async #current({ id, jwk }: Account): Promise<Account> {
    const account = await this.#shared.records.account(id)
    if (account === null || account.status !== 'valid') throw unauthorized('the account is deactivated')
    if (JSON.stringify(account.jwk) !== JSON.stringify(jwk))
      throw unauthorized('the account has another key by now')
    return account
  }

  async #ofAccount(path: string, url: string, account: Account, jws: Jws): Promise<Answer> {
    const shared = this.#shared
    switch (path) {
      case '/new-order':
        return this.#orders.create(account, objectIn(jws))
      case '/key-change':
        return this.#inTurn('', () => changeKey(shared, objectIn(jws), account, url))
      case '/revoke-cert':
        return revoke(shared, objectIn(jws), account)
    }
    const [, kind, owner, id = '', more, ...rest] = path.split('/')
    // Whose it is stands in the URL; another account's does not exist.
    if (owner !== account.id || rest.length > 0) throw notFound('resource')
    const payload = jws.payload.length === 0 ? null : objectIn(jws)
    if (kind === 'account' && id === '') return updateAccount(shared, payload, account)
    if (kind === 'orders' && id === '') return this.#orders.list(account)
    if (kind === 'certificate' && /^[0-9a-f]{1,40}$/.test(id) && more === undefined)
      return this.#orders.certificate(account, id)
    if (!idPattern.test(id)) throw notFound('resource')
    if (kind === 'order' && more === undefined) return this.#orders.read(account, id)
    if (kind === 'order' && more === 'finalize') return this.#orders.finalize(account, id, objectIn(jws))
    if (kind === 'authorization' && more === undefined) return this.#authorizations.serve(account, id, payload)
    if (kind === 'challenge' && more !== undefined && idPattern.test(more))
      return this.#authorizations.serveChallenge(account, id, more, payload)
    throw notFound('resource')
  }

  #signedByJwk(jws: Jws, wanted: string): NonNullable<Jws['jwk']> {
    if (jws.jwk === null) throw malformed(wanted)
    checkSignature(jws, keyOf(jws.jwk))
    this.#useNonce(jws)
    return jws.jwk
  }

  async #signedByAccount(jws: Jws): Promise<Account> {
    const prefix = accountUrl(this.#shared, '')
    const id = jws.kid?.startsWith(prefix) ? jws.kid.slice(prefix.length) : ''
    if (jws.kid === null) throw malformed('this is asked for by an account: kid, not jwk')
    const account = idPattern.test(id) ? await this.#shared.records.account(id) : null
    if (account === null) throw new AcmeProblem('accountDoesNotExist', 400, 'kid is not the URL of an account here')
    checkSignature(jws, keyOf(account.jwk))
    this.#useNonce(jws)
    if (account.status !== 'valid') throw unauthorized('the account is deactivated')
    return account
  }

  /** Looked at once more: while storage was asked for the account, the same request may have come again. */
  #useNonce({ nonce }: Jws): void {
    const { nonces } = this.#shared
    if (!nonces.isGood(nonce as string)) throw new AcmeProblem('badNonce', 400, 'the nonce is used')
    if (!nonces.use(nonce as string)) throw rateLimited('the server has too many requests to remember', 60_000)
  }

  async #inTurn<T>(account: string, action: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(account) ?? { last: Promise.resolve(), waiting: 0 }
    if (turn.waiting >= mostWaiting) throw rateLimited('too many requests of one account at once', 1_000)
    turn.waiting++
    this.#turns.set(account, turn)
    const mine = turn.last.then(action, action)
    turn.last = mine.catch(() => {})
    try {
      return await mine
    } finally {
      if (--turn.waiting === 0) this.#turns.delete(account)
    }
  }
}

/** The payload as an object; an empty one, which is POST-as-GET, is not. */
function objectIn(jws: Jws): Record<string, unknown> {
  if (jws.payload.length === 0) throw malformed('the payload is empty')
  return parseJson(jws.payload, 'the payload')
}
