/**
 * Keys of the storage: what may be one, and what never is. Checked before anything else is done with them, so that no
 * name from the network becomes a path, a pattern, or another key.
 *
 * Whatever a storage keeps for itself (temporary files, locks, damaged values) has a character that no key has.
 */
import { StorageError } from '../model/storage.ts'

/** Far above any certificate or list of revocations; a value is held in memory as a whole. */
export const maxValueBytes = 1024 * 1024

/** Paths end at 4096 bytes on Linux and 1024 on macOS, and a folder stands in front of them. */
const maxKeyChars = 800
const part = /^(?!\.{1,2}$)[a-z0-9._:-]{1,200}$/

export function isKey(text: string): boolean {
  return text.length <= maxKeyChars && text.split('/').every(each => part.test(each))
}

/** Throws RangeError for what is no key. */
export function checkKey(key: string): void {
  if (typeof key !== 'string' || !isKey(key))
    throw new RangeError(
      `${shown(key)} cannot be a key of the storage: parts of [a-z0-9._:-], joined by /, ${maxKeyChars} characters at most`,
    )
}

/** Throws RangeError for what is not a key and a `/`. */
export function checkPrefix(prefix: string): void {
  if (typeof prefix !== 'string' || !prefix.endsWith('/') || !isKey(prefix.slice(0, -1)))
    throw new RangeError(`${shown(prefix)} cannot be a prefix of keys: a key, and a / at its end`)
}

/** @returns the value as one buffer, without a copy. Throws StorageError `refused` when it is too large. */
export function checkValue(key: string, value: Uint8Array): Buffer {
  if (value.byteLength > maxValueBytes)
    throw new StorageError('refused', `${key} has ${value.byteLength} bytes; the storage takes ${maxValueBytes}`)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

/** Throws RangeError for a life time that is none. */
export function checkTtl(ttlMs: number | undefined): void {
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs > 0))
    throw new RangeError(`${ttlMs} is not a life time in milliseconds`)
}

/** Where a damaged value goes; the capitals make sure that this is no key. */
export function asideName(key: string, now: Date, attempt: number): string {
  const stamp = now
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-')
  return `${key}.damaged-${stamp}${attempt > 1 ? `-${attempt}` : ''}`
}

/** What somebody gave as a key, fit for a message. */
function shown(key: unknown): string {
  return JSON.stringify(String(key).slice(0, 80))
}
