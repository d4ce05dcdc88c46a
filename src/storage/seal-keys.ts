/**
 * The keys that seal values: derived from a passphrase by scrypt (RFC 7914), or given as 32 bytes. The storage has a
 * record of every key that was ever used on it (seal-record.ts), with the salt and cost of those that were derived from a passphrase,
 * and no secret. A wrong passphrase is therefore detected when the storage is opened, not when the first certificate cannot be read.
 *
 * Invariants: nothing is sealed with a key that is not in the stored record at that moment. The record only grows:
 * a process that finds that keys are missing which it knows from memory or the local copy, for example because Redis has lost its data,
 * adds them under a lock, so that all processes end up with the same record.
 *
 * A key's id is the beginning of an HMAC that is made with it. It distinguishes keys. With the record, an attacker can test a guess of
 * the passphrase, as with any sealed value; scrypt makes guessing slow.
 */
import { createHmac, randomBytes, scrypt } from 'node:crypto'
import { UsageError } from '../base/errors.ts'
import { type Lease, type Storage, StorageError } from '../model/storage.ts'
import {
  type Entry,
  holdsAll,
  maxEntries,
  maxMemoryBytes,
  type PassphraseCost,
  parseRecord,
  recordKey,
  recordText,
  union,
} from './seal-record.ts'

export type Secret = { readonly passphrase: string } | { readonly key: Buffer }

export type SealKey = { readonly id: string; readonly key: Buffer }

const lockName = recordKey

/** 64 MB and about a quarter of a second, once at startup. */
export const passphraseCost: PassphraseCost = { N: 65_536, r: 8, p: 2 }
/** Derived keys, and ids that fit no secret; a record that changes constantly must not fill the memory. */
const mostTried = 64

/** Reads a key file: 32 bytes, raw, in hex, or in base64. Throws UsageError, which does not show the content. */
export function parseKeyFile(content: Buffer, file: string): Buffer {
  if (content.length === 32) return content
  const text = content.toString('latin1').trim()
  const key = /^[0-9a-fA-F]{64}$/.test(text)
    ? Buffer.from(text, 'hex')
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(text)
      ? Buffer.from(text, 'base64')
      : null
  if (key?.length === 32) return key
  throw new UsageError(
    `${file}: not a key of 32 bytes (raw, hex or base64); make one with: openssl rand -base64 32 > ${file}`,
  )
}

export type KeyRingOptions = {
  /** The first seals; values sealed with the others may still exist */
  readonly secrets: readonly Secret[]
  /** For a passphrase that is not in the record */
  readonly cost: PassphraseCost
  /** A second place for the record, for when the storage is away or has lost it; or null */
  readonly copy: Pick<Storage, 'name' | 'get' | 'put'> | null
}

export class KeyRing {
  readonly #storage: Storage
  readonly #secrets: readonly Secret[]
  readonly #cost: PassphraseCost
  readonly #copy: KeyRingOptions['copy']
  /** By entry; null if no secret fits */
  readonly #tried = new Map<string, SealKey | null>()
  /** All entries ever seen */
  #known: readonly Entry[] = []
  #current: SealKey | null = null
  /** The stored record when it last had everything that is known */
  #settledText: Buffer | null = null
  #settling: Promise<void> | null = null

  constructor(storage: Storage, { secrets, cost, copy }: KeyRingOptions) {
    this.#storage = storage
    this.#secrets = secrets
    this.#cost = cost
    this.#copy = copy
  }

  /** The key for new values. */
  get current(): SealKey {
    if (this.#current === null) throw new StorageError('away', 'the key for sealing is not known yet')
    return this.#current
  }

  /**
   * Finds or creates the key of the secret. If the storage is away, the copy's record is enough for reading.
   * Throws UsageError if values are sealed with another secret, StorageError if the record cannot be read.
   */
  async open(): Promise<void> {
    this.#known = await this.#copied()
    try {
      await this.settle()
    } catch (error) {
      if (!(error instanceof StorageError && error.kind === 'away')) throw error
      if (this.#known.length === 0) throw error
      this.#current = await this.#match(this.#known)
      if (this.#current === null) throw error
    }
  }

  /** Makes sure that the stored record has the sealing key and all other known keys. */
  settle(): Promise<void> {
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = null
    })
    return this.#settling
  }

  async #settle(): Promise<void> {
    const text = await this.#storage.get(recordKey)
    if (text !== null && this.#settledText?.equals(text)) return
    if (await this.#takeOver(text)) return
    const lease = await this.#takeLock()
    try {
      // Another process may have been first.
      const now = await this.#storage.get(recordKey)
      if (await this.#takeOver(now)) return
      await this.#add(this.#parsed(now), lease)
    } finally {
      await lease.release()
    }
  }

  /** Takes over the entries of the record. @returns whether it has everything that is known, including the sealing key */
  async #takeOver(text: Buffer | null): Promise<boolean> {
    const stored = this.#parsed(text)
    // A key in use stays in use: a process that has created another one meanwhile can read its values too.
    this.#current ??= await this.#match(stored)
    if (text === null || this.#current === null || !holdsAll(stored, this.#known)) return false
    this.#known = stored
    this.#settledText = text
    await this.#keepCopy(text)
    return true
  }

  /** Writes a record with what is `stored`, whatever else is known, and the key of the secret if that is new. */
  async #add(stored: readonly Entry[], lease: Lease): Promise<void> {
    let all = union(stored, this.#known)
    let current = this.#current ?? (await this.#match(all))
    if (current === null) {
      if (all.length > 0) await this.#checkPrevious(all, stored.length === 0)
      const made = await newEntry(this.#secrets[0]!, this.#cost)
      current = made.key
      all = [...all, made.entry]
    }
    if (all.length > maxEntries)
      throw new UsageError(
        `${this.#storage.name}: ${recordKey} has ${maxEntries} keys, which is the most it can hold`,
      )
    const text = recordText(all)
    // Before the storage, so that a process that is killed here does not start with another key.
    await this.#keepCopy(text)
    await this.#storage.put(recordKey, text, { lease })
    this.#current = current
    this.#known = all
    this.#settledText = text
  }

  /**
   * The key with this id, derived from any of the secrets; another node may have added it.
   * `other`: its secret was not given; `unknown`: it is not in the record either.
   */
  async find(id: string): Promise<SealKey | 'other' | 'unknown'> {
    if (this.#current?.id === id) return this.#current
    // A key file needs no record.
    for (const secret of this.#secrets) {
      const key = 'key' in secret ? sealKey(secret.key) : null
      if (key?.id === id) return key
    }
    const of = (entries: readonly Entry[]) => entries.find(each => each.id === id)
    const entry = of(this.#known) ?? of(this.#parsed(await this.#storage.get(recordKey)))
    if (entry === undefined) return 'unknown'
    return (await this.#open(entry)) ?? 'other'
  }

  async #match(entries: readonly Entry[]): Promise<SealKey | null> {
    for (const entry of entries) {
      const key = await keyOf(this.#secrets[0]!, entry)
      if (key?.id === entry.id) return key
    }
    return null
  }

  async #open(entry: Entry): Promise<SealKey | null> {
    const tried = JSON.stringify(entry)
    const known = this.#tried.get(tried)
    if (known !== undefined) return known
    let found: SealKey | null = null
    for (const secret of this.#secrets) {
      const key = await keyOf(secret, entry)
      if (key?.id !== entry.id) continue
      found = key
      break
    }
    if (this.#tried.size >= mostTried) this.#tried.clear()
    this.#tried.set(tried, found)
    return found
  }

  /** A new secret is accepted only together with an old one: otherwise a typo would become a second key. */
  async #checkPrevious(entries: readonly Entry[], onlyCopy: boolean): Promise<void> {
    for (const entry of entries) if ((await this.#open(entry)) !== null) return
    const given =
      this.#secrets.length > 1 ? 'neither the secret nor a previous one' : 'another secret than the one given'
    const where = onlyCopy
      ? `, as the copy of its ${recordKey} in ${this.#copy?.name} says; where those are given up, remove that folder`
      : ''
    throw new UsageError(
      `${this.#storage.name}: values are sealed with ${given}${where}; check storage.seal, and to change the secret, give the old one as storage.seal.previous`,
    )
  }

  async #takeLock(): Promise<Lease> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const lease = await this.#storage.lock(lockName)
      if (lease) return lease
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new StorageError('away', `${this.#storage.name}: another process has held the lock ${lockName} for 10 s`)
  }

  #parsed(content: Buffer | null): readonly Entry[] {
    if (content === null) return []
    const entries = parseRecord(content.toString('utf8'))
    if (entries) return entries
    throw new StorageError(
      'damaged',
      `${this.#storage.name}: ${recordKey} is damaged, and without it what a passphrase sealed cannot be read; restore it from a back-up`,
    )
  }

  /** A copy that is damaged or unreadable counts as missing. */
  async #copied(): Promise<readonly Entry[]> {
    const content = await this.#copy?.get(recordKey).catch(() => null)
    return (content && parseRecord(content.toString('utf8'))) ?? []
  }

  /** A failure is not reported here: the copy of certificates in the same folder reports it. */
  async #keepCopy(text: Buffer): Promise<void> {
    const before = await this.#copy?.get(recordKey).catch(() => null)
    if (!before?.equals(text)) await this.#copy?.put(recordKey, text).catch(() => {})
  }
}

async function newEntry(secret: Secret, cost: PassphraseCost): Promise<{ entry: Entry; key: SealKey }> {
  const salt = 'key' in secret ? null : randomBytes(16).toString('hex')
  const blank: Entry = { id: '', salt, ...(salt === null ? { N: 0, r: 0, p: 0 } : cost) }
  const key = (await keyOf(secret, blank))!
  return { entry: { ...blank, id: key.id }, key }
}

/** Null for an entry of the other kind. */
async function keyOf(secret: Secret, entry: Entry): Promise<SealKey | null> {
  if ('key' in secret) return entry.salt === null ? sealKey(secret.key) : null
  if (entry.salt === null) return null
  const { N, r, p, salt } = entry
  const options = { N, r, p, maxmem: maxMemoryBytes + 16 * 1024 * 1024 }
  const key = await new Promise<Buffer>((resolve, reject) =>
    scrypt(secret.passphrase.normalize('NFKC'), Buffer.from(salt, 'hex'), 32, options, (error, derived) =>
      error ? reject(error) : resolve(derived),
    ),
  )
  return sealKey(key)
}

function sealKey(key: Buffer): SealKey {
  return { key, id: createHmac('sha256', key).update('sallyport seal key id').digest('hex').slice(0, 16) }
}
