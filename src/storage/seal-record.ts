/**
 * The record of the keys that seal values, stored as `seal/keys`: ids, salts and costs, no secret. Others may be able to
 * write to the storage, so the work that a record can cause is bounded.
 */

/** `salt` and the cost are null for a key that was not derived. */
export type Entry = {
  readonly id: string
  readonly salt: string | null
} & PassphraseCost

/** Of scrypt (RFC 7914 section 2) */
export type PassphraseCost = { readonly N: number; readonly r: number; readonly p: number }

export const recordKey = 'seal/keys'
export const maxMemoryBytes = 256 * 1024 * 1024
export const maxEntries = 16

/** Null if it is damaged or from a later version. */
export function parseRecord(text: string): readonly Entry[] | null {
  let record: { version?: unknown; keys?: unknown }
  try {
    record = JSON.parse(text)
  } catch {
    return null
  }
  if (record?.version !== 1 || !Array.isArray(record.keys) || record.keys.length > maxEntries) return null
  return record.keys.every(isEntry) ? record.keys : null
}

export const recordText = (keys: readonly Entry[]): Buffer =>
  Buffer.from(`${JSON.stringify({ version: 1, keys })}\n`)

/** The entries of `first`, then those of `second` that are not in it. */
export const union = (first: readonly Entry[], second: readonly Entry[]): readonly Entry[] => [
  ...first,
  ...second.filter(entry => !has(first, entry)),
]

export const holdsAll = (entries: readonly Entry[], wanted: readonly Entry[]): boolean =>
  wanted.every(entry => has(entries, entry))

/** An id follows from the secret, the salt and the cost. */
const has = (entries: readonly Entry[], { id }: Entry): boolean => entries.some(each => each.id === id)

function isEntry(entry: Partial<Entry> | null): entry is Entry {
  if (!entry || typeof entry.id !== 'string' || !/^[0-9a-f]{16}$/.test(entry.id)) return false
  if (entry.salt === null) return true
  const { salt, N, r, p } = entry
  if (typeof salt !== 'string' || !/^[0-9a-f]{32,128}$/.test(salt)) return false
  const whole = [N, r, p].every(value => Number.isSafeInteger(value) && value! > 0)
  return whole && Number.isInteger(Math.log2(N!)) && N! >= 2 && p! <= 16 && 128 * N! * r! <= maxMemoryBytes
}
