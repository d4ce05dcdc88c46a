/**
 * The keys that values are sealed with: from a passphrase by scrypt (RFC 7914), or 32 bytes as they are. The storage has a
 * record of every key that was ever used on it (seal-record.ts), with the salt and cost of those that came from a passphrase
 * and no secret: so a wrong passphrase is found when the storage is opened, not when the first certificate cannot be read.
 *
 * Invariants: nothing is sealed with a key that the record in storage does not have at that moment. The record only grows:
 * whoever finds that it lacks what is known in memory or in the local copy, as when Redis has lost its data, adds that
 * under a lock, so that all who do so at once end up with the same.
 *
 * A key's id is the start of an HMAC made with it. It tells keys apart and, to who has the record, whether a guess at
 * the passphrase was right, which any sealed value does as well; what slows guessing down is scrypt.
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

/** 64 MB and about a quarter of a second, once at start. */
export const passphraseCost: PassphraseCost = { N: 65_536, r: 8, p: 2 }
/** Derived keys, and those that no secret fits; a record that changes all the time must not fill the memory. */
const mostTried = 64

/** Reads a key file: 32 bytes as they are, in hex, or in base64. Throws UsageError, without a word of its content. */
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
  /** The first is sealed with; the others are those whose values may still be there */
  readonly secrets: readonly Secret[]
  /** Of a passphrase that is new here */
  readonly cost: PassphraseCost
  /** Where the record is kept as well, for when the storage is away or has lost it; null for none */
  readonly copy: Pick<Storage, 'name' | 'get' | 'put'> | null
}

export class KeyRing {
  readonly #storage: Storage
  readonly #secrets: readonly Secret[]
  readonly #cost: PassphraseCost
  readonly #copy: KeyRingOptions['copy']
  /** By entry: null where no secret fits */
  readonly #tried = new Map<string, SealKey | null>()
  /** All that were ever seen */
  #known: readonly Entry[] = []
  #current: SealKey | null = null
  /** The record in storage as it was when it had everything that is known */
  #settledText: Buffer | null = null
  #settling: Promise<void> | null = null

  constructor(storage: Storage, { secrets, cost, copy }: KeyRingOptions) {
    this.#storage = storage
    this.#secrets = secrets
    this.#cost = cost
    this.#copy = copy
  }

  /** What new values are sealed with. */
  get current(): SealKey {
    if (this.#current === null) throw new StorageError('away', 'the key for sealing is not known yet')
    return this.#current
  }

  /**
   * Finds or makes the key of the secret. Where the storage is away the copy's record is as good, for reading.
   * Throws UsageError when values are sealed with another secret, StorageError when the record cannot be read.
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

  /** Afterwards the record in storage has the key that values are sealed with, and all others that are known. */
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
      // Somebody else may have been first.
      const now = await this.#storage.get(recordKey)
      if (await this.#takeOver(now)) return
      await this.#add(this.#parsed(now), lease)
    } finally {
      await lease.release()
    }
  }

  /** Learns what the record has. @returns whether it has everything that is known, the key to seal with among it */
  async #takeOver(text: Buffer | null): Promise<boolean> {
    const stored = this.#parsed(text)
    // One that is in use stays: whoever made another meanwhile reads it all the same.
    this.#current ??= await this.#match(stored)
    if (text === null || this.#current === null || !holdsAll(stored, this.#known)) return false
    this.#known = stored
    this.#settledText = text
    await this.#keepCopy(text)
    return true
  }

  /** Puts a record with what is `stored`, what is known beside that, and where the secret is new, its key. */
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
    // First, so that a process killed here does not come back with another key.
    await this.#keepCopy(text)
    await this.#storage.put(recordKey, text, { lease })
    this.#current = current
    this.#known = all
    this.#settledText = text
  }

  /**
   * The key with this id, from any of the secrets; another node may have added it since.
   * `other`: of a secret that is not given; `unknown`: not in the record either.
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

  /** A new secret is taken only from who knows an old one: else a typing mistake would become a second key. */
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

  /** A copy that is damaged or cannot be read is none. */
  async #copied(): Promise<readonly Entry[]> {
    const content = await this.#copy?.get(recordKey).catch(() => null)
    return (content && parseRecord(content.toString('utf8'))) ?? []
  }

  /** The copy of certificates in the same folder says when it cannot be written. */
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

/** Null where the entry is of the other kind. */
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
