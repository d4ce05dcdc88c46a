/**
 * What the server remembers, in storage: accounts, orders, authorizations and certificates to be fetched. Each is one value;
 * those of an account are under its id, so that no identifier in a URL leads to another account's.
 *
 * Invariant: what storage gives back is checked before it is believed: a value that cannot be read is set aside and gone.
 */
import { randomBytes } from 'node:crypto'
import type { Log } from '../base/log.ts'
import type { ChallengeKind } from '../model/challenge.ts'
import type { Storage } from '../model/storage.ts'
import type { Jwk } from './jws.ts'
import type { Identifier, ProblemText } from './problem.ts'

export type Account = {
  readonly id: string
  readonly jwk: Jwk
  readonly status: 'valid' | 'deactivated'
  readonly contact: readonly string[]
  /** Key identifier of the external account it was made with */
  readonly external: string | null
  /** Milliseconds since 1970 */
  readonly createdAt: number
}

export type ChallengeRecord = {
  readonly id: string
  readonly type: ChallengeKind
  readonly token: string
  readonly status: 'pending' | 'processing' | 'valid' | 'invalid'
  readonly validatedAt: number | null
  readonly error: ProblemText | null
}

export type Authorization = {
  readonly id: string
  readonly account: string
  /** Without the `*.` of a wildcard */
  readonly identifier: Identifier
  readonly wildcard: boolean
  readonly status: 'pending' | 'valid' | 'invalid' | 'deactivated'
  readonly expiresAt: number
  readonly challenges: readonly ChallengeRecord[]
}

export type Order = {
  readonly id: string
  readonly account: string
  /** `pending` becomes `ready` and `invalid` by its authorizations, which are looked at when it is read */
  readonly status: 'pending' | 'valid' | 'invalid'
  readonly expiresAt: number
  readonly identifiers: readonly Identifier[]
  readonly authorizations: readonly string[]
  readonly profile: string | null
  readonly lifetimeMs: number
  /** A certificate id of RFC 9773 */
  readonly replaces: string | null
  readonly serial: string | null
  readonly error: ProblemText | null
}

type Certificate = { readonly chainPem: string; readonly account: string }

const prefix = 'ca-acme'
export const idPattern = /^[0-9a-f]{32}$/
export const newId = (): string => randomBytes(16).toString('hex')

/** How long a record outlives what it is about. */
const keptMs = 24 * 3_600_000

export class AcmeRecords {
  readonly #storage: Storage
  readonly #log: Log
  readonly #now: () => number

  constructor(storage: Storage, log: Log, now: () => number) {
    this.#storage = storage
    this.#log = log
    this.#now = now
  }

  account(id: string): Promise<Account | null> {
    return this.#get<Account>(`accounts/${id}`, value => value.id === id && typeof value.jwk === 'object')
  }

  async putAccount(account: Account): Promise<void> {
    await this.#put(`accounts/${account.id}`, account)
  }

  async countAccounts(): Promise<number> {
    return (await this.#storage.list(`${prefix}/accounts/`)).length
  }

  /** The account of a key. @param thumbprint base64url; keys of storage are in lower case, so it becomes hex */
  async accountOfKey(thumbprint: string): Promise<string | null> {
    const value = await this.#get<{ account: string }>(
      `keys/${hex(thumbprint)}`,
      each => typeof each.account === 'string',
    )
    return value?.account ?? null
  }

  async putKey(thumbprint: string, account: string): Promise<void> {
    await this.#put(`keys/${hex(thumbprint)}`, { account })
  }

  async deleteKey(thumbprint: string): Promise<void> {
    await this.#storage.delete(`${prefix}/keys/${hex(thumbprint)}`)
  }

  order(account: string, id: string): Promise<Order | null> {
    return this.#get<Order>(`orders/${account}/${id}`, value => value.id === id && value.account === account)
  }

  async putOrder(order: Order): Promise<void> {
    await this.#put(`orders/${order.account}/${order.id}`, order, order.expiresAt + keptMs)
  }

  /** The ids of an account's orders. */
  async orders(account: string): Promise<readonly string[]> {
    return this.#ids(`orders/${account}/`)
  }

  authorization(account: string, id: string): Promise<Authorization | null> {
    const whole = (value: Authorization) =>
      value.id === id && value.account === account && Array.isArray(value.challenges)
    return this.#get<Authorization>(`authorizations/${account}/${id}`, whole)
  }

  async putAuthorization(authorization: Authorization): Promise<void> {
    const { account, id, expiresAt } = authorization
    await this.#put(`authorizations/${account}/${id}`, authorization, expiresAt + keptMs)
  }

  async authorizations(account: string): Promise<readonly string[]> {
    return this.#ids(`authorizations/${account}/`)
  }

  certificate(account: string, serial: string): Promise<Certificate | null> {
    return this.#get<Certificate>(`certificates/${account}/${serial}`, value => typeof value.chainPem === 'string')
  }

  async putCertificate(account: string, serial: string, chainPem: string, notAfter: number): Promise<void> {
    await this.#put(`certificates/${account}/${serial}`, { chainPem, account }, notAfter + keptMs)
  }

  /** Whether a certificate was replaced by one that was issued (RFC 9773 section 5). */
  async isReplaced(serial: string): Promise<boolean> {
    return (await this.#storage.get(`${prefix}/replaced/${serial}`)) !== null
  }

  async putReplaced(serial: string, until: number): Promise<void> {
    await this.#put(`replaced/${serial}`, {}, until + keptMs)
  }

  async #ids(under: string): Promise<readonly string[]> {
    const keys = await this.#storage.list(`${prefix}/${under}`)
    return keys.map(key => key.slice(prefix.length + 1 + under.length)).filter(id => idPattern.test(id))
  }

  async #get<T>(key: string, whole: (value: T) => boolean): Promise<T | null> {
    const bytes = await this.#storage.get(`${prefix}/${key}`)
    if (bytes === null) return null
    try {
      const value = JSON.parse(bytes.toString('utf8')) as T
      if (typeof value === 'object' && value !== null && whole(value)) return value
    } catch {
      // Not JSON: the same as the wrong JSON.
    }
    const where = await this.#storage.setAside(`${prefix}/${key}`)
    this.#log.write('error', 'a record of the ACME server is damaged and was set aside', { key, where })
    return null
  }

  async #put(key: string, value: object, until?: number): Promise<void> {
    const ttlMs = until === undefined ? undefined : Math.max(60_000, until - this.#now())
    await this.#storage.put(
      `${prefix}/${key}`,
      Buffer.from(JSON.stringify(value)),
      ttlMs === undefined ? {} : { ttlMs },
    )
  }
}

const hex = (base64url: string): string => Buffer.from(base64url, 'base64url').toString('hex')
