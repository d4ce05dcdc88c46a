/**
 * Values that are sealed with AES-256-GCM before they reach the storage. Keys, locks and expiries stay readable.
 *
 *   "\0SPSEAL"  version (1)  key id (8 bytes)  nonce (12)  ciphertext  tag (16)
 *
 * The header and the value's key are authenticated too, so that one value cannot replace another. An older
 * value can replace a newer one of the same key: someone with write access to the storage can restore an old value.
 * A value from before sealing was enabled is read as it is, and sealed at the next put. No unsealed value
 * begins with a zero byte, so a truncated sealed value is never taken for an unsealed one.
 *
 * Nonces are random, which is safe for 2^32 writes with one key (NIST SP 800-38D section 8.3): one a second for a
 * hundred years.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { UsageError } from '../base/errors.ts'
import { type Storage, StorageError } from '../model/storage.ts'
import { maxValueBytes } from './keys.ts'
import { KeyRing, type KeyRingOptions, passphraseCost, type SealKey, type Secret } from './seal-keys.ts'
import { recordKey } from './seal-record.ts'

const magic = Buffer.from('\0SPSEAL\x01', 'latin1')
const headBytes = magic.length + 8
const nonceBytes = 12
const tagBytes = 16
const overheadBytes = headBytes + nonceBytes + tagBytes

type SealOptions = Partial<Pick<KeyRingOptions, 'cost' | 'copy'>>

/**
 * Throws UsageError if the values are sealed with another secret. If the storage is away, the keys come from
 * the copy, or from the storage once it is back; until then every operation throws StorageError `away`.
 * @param previous former secrets: for reading, never for writing
 * @param options.cost for a passphrase that is not in the record; known ones have their cost there
 * @param options.copy also has the record of keys; the caller closes it
 */
export async function sealed(
  storage: Storage,
  secret: Secret,
  previous: readonly Secret[] = [],
  { cost = passphraseCost, copy = null }: SealOptions = {},
): Promise<Storage> {
  let opening: Promise<KeyRing> | null = null
  const ring = (): Promise<KeyRing> => {
    opening ??= openRing(storage, { secrets: [secret, ...previous], cost, copy }).catch(error => {
      opening = null
      throw error
    })
    return opening
  }
  await ring().catch(error => {
    if (!(error instanceof StorageError && error.kind === 'away')) throw error
  })
  // A storage that comes back without its data gets the record of keys before any value; the next put checks the rest.
  let restoring: Promise<void> = Promise.resolve()
  const unwatch = storage.watch(`${recordKey.split('/')[0]}/`, () => {
    restoring = restoring
      .then(ring)
      .then(each => each.settle())
      .catch(() => {})
  })
  return {
    name: `${storage.name}, sealed`,
    async get(key) {
      const content = await storage.get(key)
      return content && (await unseal(key, content, await refusing(ring)))
    },
    async put(key, value, options) {
      refuseRecord(key)
      if (value.byteLength > maxValueBytes - overheadBytes)
        throw new StorageError(
          'refused',
          `${key} has ${value.byteLength} bytes; a sealed value has ${maxValueBytes - overheadBytes} at most`,
        )
      const found = await refusing(async () => {
        const each = await ring()
        await each.settle()
        return each.current
      })
      await storage.put(key, seal(key, value, found), options)
    },
    async delete(key) {
      refuseRecord(key)
      await storage.delete(key)
    },
    async setAside(key) {
      refuseRecord(key)
      return storage.setAside(key)
    },
    list: prefix => storage.list(prefix),
    lock: name => storage.lock(name),
    watch: (prefix, changed) => storage.watch(prefix, changed),
    async close() {
      unwatch()
      await storage.close()
      await restoring
    },
  }
}

/** For a read-only storage: not even a record of keys is written. */
export function unsealing(storage: Storage, secrets: readonly Secret[]): Storage {
  const ring = new KeyRing(storage, { secrets, cost: passphraseCost, copy: null })
  return withGet(storage, async key => {
    const content = await storage.get(key)
    return content && (await unseal(key, content, ring))
  })
}

async function openRing(storage: Storage, options: KeyRingOptions): Promise<KeyRing> {
  const ring = new KeyRing(storage, options)
  await ring.open()
  return ring
}

/**
 * A storage without sealing that may have sealed values from before: these are refused, because a reader
 * would take them for damaged ones.
 * @param copy is asked for the record of keys if the storage cannot be
 */
export async function unsealed(storage: Storage, copy: SealOptions['copy'] = null): Promise<Storage> {
  const hint = 'give the secret as storage.seal'
  const record = await storage.get(recordKey).catch(() => copy?.get(recordKey).catch(() => null) ?? null)
  if (record !== null) throw new UsageError(`${storage.name}: values here are sealed; ${hint}`)
  return withGet(storage, async key => {
    const content = await storage.get(key)
    if (content?.subarray(0, magic.length).equals(magic))
      throw new StorageError('refused', `${key} in ${storage.name} is sealed; ${hint}`)
    return content
  })
}

const withGet = (storage: Storage, get: Storage['get']): Storage => ({
  name: storage.name,
  get,
  put: (key, value, options) => storage.put(key, value, options),
  delete: key => storage.delete(key),
  setAside: key => storage.setAside(key),
  list: prefix => storage.list(prefix),
  lock: name => storage.lock(name),
  watch: (prefix, changed) => storage.watch(prefix, changed),
  close: () => storage.close(),
})

/**
 * After startup a wrong secret is an ordinary error and does not end the process; and a damaged record of keys
 * does not mean that the value is damaged, which would move it aside.
 */
async function refusing<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof StorageError && error.kind !== 'damaged') throw error
    throw new StorageError('refused', (error as Error).message, error)
  }
}

/** Without the record, nothing can be read any more. */
function refuseRecord(key: string): void {
  if (key === recordKey) throw new RangeError(`${recordKey} is kept by the sealing itself`)
}

function seal(key: string, value: Uint8Array, { id, key: secret }: SealKey): Buffer {
  const head = Buffer.concat([magic, Buffer.from(id, 'hex')])
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', secret, nonce, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.concat([head, Buffer.from(key)]))
  const ciphertext = [cipher.update(value), cipher.final()]
  return Buffer.concat([head, nonce, ...ciphertext, cipher.getAuthTag()])
}

async function unseal(key: string, content: Buffer, ring: KeyRing): Promise<Buffer> {
  if (content.length > 0 && content[0] !== 0) return content
  if (content.length < overheadBytes || !content.subarray(0, magic.length).equals(magic))
    throw new StorageError('damaged', `${key} is sealed, and its first bytes are damaged or missing`)
  const head = content.subarray(0, headBytes)
  const id = head.toString('hex', magic.length)
  const found = await refusing(() => ring.find(id))
  if (found === 'other')
    throw new StorageError(
      'refused',
      `${key} is sealed with the key ${id}, which is none of those given; give its secret as storage.seal.previous`,
    )
  if (found === 'unknown')
    throw new StorageError(
      'refused',
      `${key} is sealed with the key ${id}, and ${recordKey} has no such key: restore ${recordKey} from a back-up, or where it is of a key file, give that as storage.seal.previous`,
    )
  const body = content.subarray(headBytes + nonceBytes, -tagBytes)
  const nonce = content.subarray(headBytes, headBytes + nonceBytes)
  const decipher = createDecipheriv('aes-256-gcm', found.key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(Buffer.concat([head, Buffer.from(key)]))
  decipher.setAuthTag(content.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(body), decipher.final()])
  } catch (error) {
    throw new StorageError(
      'damaged',
      `${key} does not authenticate: it was damaged, changed, or is another value`,
      error,
    )
  }
}
