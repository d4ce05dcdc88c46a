/**
 * The keys that values are sealed with: from a passphrase by scrypt (RFC 7914), or 32 bytes as they are. The storage has a
 * record of every key that was ever used on it, with the salt and cost of those that came from a passphrase and no secret:
 * so a wrong passphrase is found when the storage is opened, not when the first certificate cannot be read.
 *
 * A key's id is the start of an HMAC made with it. It tells keys apart and, to who has the record, whether a guess at
 * the passphrase was right, which any sealed value does as well; what slows guessing down is scrypt.
 */
import { createHmac, randomBytes, scrypt } from 'node:crypto'
import { UsageError } from '../base/errors.ts'
import { type Storage, StorageError } from '../model/storage.ts'

export type Secret = { readonly passphrase: string } | { readonly key: Buffer }

export type SealKey = { readonly id: string; readonly key: Buffer }

/** `salt` and the cost are null for a key that was given as it is. */
type Entry = {
  readonly id: string
  readonly salt: string | null
} & PassphraseCost

export const recordKey = 'seal/keys'
const lockName = 'seal/keys'

/** Of scrypt (RFC 7914 section 2) */
export type PassphraseCost = { readonly N: number; readonly r: number; readonly p: number }

/** 64 MB and about a quarter of a second, once at start. */
export const passphraseCost: PassphraseCost = { N: 65_536, r: 8, p: 2 }
/** What a record may ask of us; it lies where somebody else may write. */
const maxMemoryBytes = 256 * 1024 * 1024
const maxEntries = 16

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

/**
 * Finds or makes the key of `secret`.
 * @param previous secrets whose values may still be there
 * @param cost of a passphrase that is new here
 * Throws UsageError when values are sealed with neither, StorageError when the record cannot be read.
 */
export async function openKeyRing(
  storage: Storage,
  secret: Secret,
  previous: readonly Secret[],
  cost: PassphraseCost,
): Promise<KeyRing> {
  const ring = new KeyRing(storage, [secret, ...previous], cost)
  await ring.open()
  return ring
}

export class KeyRing {
  readonly #storage: Storage
  readonly #secrets: readonly Secret[]
  readonly #cost: PassphraseCost
  readonly #keys = new Map<string, SealKey>()
  #current: SealKey | null = null

  constructor(storage: Storage, secrets: readonly Secret[], cost: PassphraseCost) {
    this.#storage = storage
    this.#secrets = secrets
    this.#cost = cost
  }

  /** What new values are sealed with. */
  get current(): SealKey {
    if (this.#current === null) throw new StorageError('away', 'the key for sealing is not known yet')
    return this.#current
  }

  async open(): Promise<void> {
    const secret = this.#secrets[0]!
    const entries = await this.#read()
    if (await this.#match(secret, entries)) return
    const lease = await this.#takeLock()
    try {
      // Somebody else may have been first.
      const now = await this.#read()
      if (await this.#match(secret, now)) return
      if (now.length > 0) await this.#checkPrevious(now)
      if (now.length >= maxEntries)
        throw new UsageError(`${this.#storage.name}: ${recordKey} has ${maxEntries} keys, and takes no more`)
      const { entry, key } = await newEntry(secret, this.#cost)
      const text = `${JSON.stringify({ version: 1, keys: [...now, entry] })}\n`
      await this.#storage.put(recordKey, Buffer.from(text), { lease })
      this.#keys.set(key.id, key)
      this.#current = key
    } finally {
      await lease.release()
    }
  }

  /** The key with this id, from any of the secrets; another node may have added it since. Null where none fits. */
  async find(id: string): Promise<SealKey | null> {
    const known = this.#keys.get(id)
    if (known) return known
    const entry = (await this.#read()).find(each => each.id === id)
    if (!entry) return null
    for (const secret of this.#secrets) {
      const key = await keyOf(secret, entry)
      if (key?.id !== id) continue
      this.#keys.set(id, key)
      return key
    }
    return null
  }

  async #match(secret: Secret, entries: readonly Entry[]): Promise<boolean> {
    for (const entry of entries) {
      const key = await keyOf(secret, entry)
      if (key?.id !== entry.id) continue
      this.#keys.set(key.id, key)
      this.#current = key
      return true
    }
    return false
  }

  /** A new secret is taken only from who knows an old one: else a typing mistake would become a second key. */
  async #checkPrevious(entries: readonly Entry[]): Promise<void> {
    for (const secret of this.#secrets.slice(1))
      for (const entry of entries) if ((await keyOf(secret, entry))?.id === entry.id) return
    const given =
      this.#secrets.length > 1 ? 'neither the secret nor a previous one' : 'another secret than the one given'
    throw new UsageError(
      `${this.#storage.name}: values are sealed with ${given}; check storage.seal, and to change the secret, give the old one as storage.seal.previous`,
    )
  }

  async #takeLock() {
    for (let attempt = 0; attempt < 100; attempt++) {
      const lease = await this.#storage.lock(lockName)
      if (lease) return lease
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    throw new StorageError('away', `${this.#storage.name}: another process has held the lock ${lockName} for 10 s`)
  }

  async #read(): Promise<readonly Entry[]> {
    const content = await this.#storage.get(recordKey)
    if (content === null) return []
    const entries = parseRecord(content.toString('utf8'))
    if (entries) return entries
    throw new StorageError(
      'damaged',
      `${this.#storage.name}: ${recordKey} is damaged, and without it what a passphrase sealed cannot be read; restore it from a back-up`,
    )
  }
}

function parseRecord(text: string): readonly Entry[] | null {
  let record: { version?: unknown; keys?: unknown }
  try {
    record = JSON.parse(text)
  } catch {
    return null
  }
  if (record?.version !== 1 || !Array.isArray(record.keys) || record.keys.length > maxEntries) return null
  return record.keys.every(isEntry) ? record.keys : null
}

function isEntry(entry: Partial<Entry> | null): entry is Entry {
  if (!entry || typeof entry.id !== 'string' || !/^[0-9a-f]{16}$/.test(entry.id)) return false
  if (entry.salt === null) return true
  const { salt, N, r, p } = entry
  if (typeof salt !== 'string' || !/^[0-9a-f]{32,128}$/.test(salt)) return false
  const whole = [N, r, p].every(value => Number.isSafeInteger(value) && value! > 0)
  return whole && Number.isInteger(Math.log2(N!)) && N! >= 2 && p! <= 16 && 128 * N! * r! <= maxMemoryBytes
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
