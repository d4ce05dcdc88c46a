/**
 * The account at a CA (RFC 8555 section 7.3). Its key is kept by the caller, and is written before the CA hears of it:
 * a process killed at any moment finds the account again by its key.
 *
 * Two processes must not make an account at once: `AccountStore.alone` sees to it.
 */
import type { JWK } from 'jose'
import { IssueError } from '../model/issuer.ts'
import type { Ca, Directory } from './directory.ts'
import { newAccountKey, publicJwk, type Signer, type SigningKey, signBinding, signJws } from './jws.ts'
import { locationOf, post } from './post.ts'
import { excerpt, problemOf } from './problem.ts'

/** Where one account at one CA is kept: a text that holds its private key. */
export interface AccountStore {
  /** For messages; left out where there is nothing to say */
  readonly place?: string
  load(): Promise<string | null>
  save(text: string): Promise<void>
  /** Runs `work` while no other process finds, makes or changes this account; left out where there is no other */
  alone?<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

type ExternalAccount = {
  readonly keyId: string
  /** HMAC key in base64url, as CAs hand it out */
  readonly key: string
}

export type AccountOptions = {
  readonly store: AccountStore
  /** E-mail address, or null */
  readonly email: string | null
  /** Some CAs make accounts only for customers: RFC 8555 section 7.3.4 */
  readonly externalAccount: ExternalAccount | null
}

type Kept = {
  readonly key: SigningKey
  /** Null until the CA has said it */
  readonly url: string | null
  readonly contact: readonly string[]
  /** During a roll-over: the key that the CA may already hold */
  readonly nextKey: SigningKey | null
}

export class Account {
  readonly #ca: Ca
  readonly #options: AccountOptions
  #signer: Promise<Signer> | null = null

  constructor(ca: Ca, options: AccountOptions) {
    this.#ca = ca
    this.#options = options
  }

  /** The account, found or made: once in a process. */
  async signer(signal: AbortSignal): Promise<Signer> {
    this.#signer ??= this.#alone(() => this.#find(signal), signal).catch(error => {
      this.#signer = null
      throw error
    })
    return this.#signer
  }

  /**
   * Runs `work` as this account; where the CA does not know it (any more), or another node has changed its key, finds
   * or makes it anew and runs `work` once more.
   */
  async run<T>(signal: AbortSignal, work: (signer: Signer) => Promise<T>): Promise<T> {
    const signer = await this.signer(signal)
    try {
      return await work(signer)
    } catch (error) {
      const type = problemOf(error)?.type
      const isGone = type === 'accountDoesNotExist'
      if (!isGone && type !== 'unauthorized' && type !== 'malformed') throw error
      const kept = await this.#load()
      const isOther = kept !== null && kept.key.privateJwk['d'] !== signer.key.privateJwk['d']
      if (!isGone && !isOther) throw error
      // The URL that is kept is of the account that is gone.
      if (!isOther && kept !== null) await this.#save({ ...kept, url: null })
      this.#signer = null
      return work(await this.signer(signal))
    }
  }

  /** Section 7.3.5: a new key for the same account. Both keys are kept until the CA has answered. */
  async rollOver(signal: AbortSignal): Promise<void> {
    const signer = await this.signer(signal)
    await this.#alone(() => this.#rollOver(signer, signal), signal)
  }

  async #rollOver(signer: Signer, signal: AbortSignal): Promise<void> {
    const { keyChange } = await this.#ca.directory(signal)
    if (keyChange === null) throw new IssueError('rejected', `${this.#ca.url} has no key change`)
    const kept = (await this.#load()) as Kept
    const nextKey = await newAccountKey()
    await this.#save({ ...kept, nextKey })
    const inner = await signJws(
      { account: signer.kid, oldKey: publicJwk(signer.key) },
      { key: nextKey, kid: null },
      keyChange,
      null,
    )
    await post(this.#ca, keyChange, inner, signer, signal)
    await this.#save({ ...kept, key: nextKey, nextKey: null })
    this.#signer = Promise.resolve({ key: nextKey, kid: signer.kid })
  }

  /** Section 7.3.6: final. The key stays where it is kept; the CA refuses it from now on. */
  async deactivate(signal: AbortSignal): Promise<void> {
    const signer = await this.signer(signal)
    await post(this.#ca, signer.kid as string, { status: 'deactivated' }, signer, signal)
    this.#signer = null
  }

  #alone<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { store } = this.#options
    return store.alone === undefined ? work() : store.alone(work, signal)
  }

  async #find(signal: AbortSignal): Promise<Signer> {
    const directory = await this.#ca.directory(signal)
    let kept = await this.#load()
    if (kept === null) {
      this.#checkExternal(directory)
      kept = { key: await newAccountKey(), url: null, contact: [], nextKey: null }
      await this.#save(kept)
    }
    if (kept.nextKey !== null) kept = await this.#finishRollOver(kept, directory, signal)
    const contact = this.#contact()
    if (kept.url === null) {
      const url = await this.#register(kept.key, directory, contact, signal)
      kept = { ...kept, url, contact }
      await this.#save(kept)
    } else if (kept.contact.join() !== contact.join()) {
      await post(this.#ca, kept.url, { contact }, { key: kept.key, kid: kept.url }, signal)
      kept = { ...kept, contact }
      await this.#save(kept)
    }
    return { key: kept.key, kid: kept.url }
  }

  /** A roll-over was cut off: whichever key the CA answers to is the account's. */
  async #finishRollOver(kept: Kept, directory: Directory, signal: AbortSignal): Promise<Kept> {
    const next = kept.nextKey as SigningKey
    const url = await findAccount(this.#ca, directory, next, signal)
    const settled: Kept = { ...kept, nextKey: null, ...(url === null ? {} : { key: next, url }) }
    await this.#save(settled)
    return settled
  }

  /** Makes the account, or finds the one that this key has: the CA answers with its URL either way (section 7.3). */
  async #register(
    key: SigningKey,
    directory: Directory,
    contact: readonly string[],
    signal: AbortSignal,
  ): Promise<string> {
    const existing = await findAccount(this.#ca, directory, key, signal)
    if (existing !== null) return existing
    this.#checkExternal(directory)
    const { externalAccount } = this.#options
    const binding =
      externalAccount === null
        ? {}
        : {
            externalAccountBinding: await signBinding(
              key,
              externalAccount.keyId,
              externalAccount.key,
              directory.newAccount,
            ),
          }
    const payload = { termsOfServiceAgreed: true, contact, ...binding }
    const answer = await post(this.#ca, directory.newAccount, payload, { key, kid: null }, signal)
    const status = excerpt(answer.json['status'], 40)
    if (status === 'deactivated' || status === 'revoked')
      throw new IssueError('rejected', `${this.#ca.url}: the account is ${status}`)
    return locationOf(answer.headers, 'newAccount')
  }

  #checkExternal({ externalAccountRequired }: Directory): void {
    if (!externalAccountRequired || this.#options.externalAccount !== null) return
    throw new IssueError(
      'rejected',
      `${this.#ca.url} makes accounts only for its customers: give externalAccount with the keyId and key it has given you`,
    )
  }

  #contact(): readonly string[] {
    return this.#options.email === null ? [] : [`mailto:${this.#options.email}`]
  }

  async #load(): Promise<Kept | null> {
    const text = await this.#options.store.load()
    if (text === null) return null
    const kept = parseKept(text)
    // A new account in its place would lose the old one for good.
    if (kept === null) {
      const { place } = this.#options.store
      const what = place === undefined ? '' : `: restore ${place}, or remove it to have a new account made`
      throw new IssueError('rejected', `the account for ${this.#ca.url} cannot be read as it is kept${what}`)
    }
    return kept
  }

  #save({ key, url, contact, nextKey }: Kept): Promise<void> {
    const next = nextKey === null ? {} : { nextKey: nextKey.privateJwk }
    const fields = { directory: this.#ca.url, url, contact, key: key.privateJwk, ...next }
    return this.#options.store.save(`${JSON.stringify(fields, null, 2)}\n`)
  }
}

/** The account's URL, or null where the CA has none for this key (section 7.3.1). */
async function findAccount(
  ca: Ca,
  directory: Directory,
  key: SigningKey,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const answer = await post(ca, directory.newAccount, { onlyReturnExisting: true }, { key, kid: null }, signal)
    return locationOf(answer.headers, 'newAccount')
  } catch (error) {
    if (problemOf(error)?.type === 'accountDoesNotExist') return null
    throw error
  }
}

function parseKept(text: string): Kept | null {
  try {
    const { url, contact, key, nextKey } = JSON.parse(text)
    const isUrl = url === null || typeof url === 'string'
    if (!isUrl || !Array.isArray(contact) || !isKey(key) || (nextKey !== undefined && !isKey(nextKey))) return null
    return {
      url,
      contact: contact.map(String),
      key: { alg: 'ES256', privateJwk: key },
      nextKey: nextKey === undefined ? null : { alg: 'ES256', privateJwk: nextKey },
    }
  } catch {
    return null
  }
}

function isKey(value: unknown): value is JWK {
  const { kty, crv, x, y, d } = (value ?? {}) as JWK
  return kty === 'EC' && crv === 'P-256' && [x, y, d].every(part => /^[A-Za-z0-9_-]{43}$/.test(part ?? ''))
}
