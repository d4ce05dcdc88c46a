/**
 * Keys of the storage: what is allowed in them. They are checked before anything else, so that no name from the network becomes a path, a
 * pattern, or a different key.
 *
 * The internal names of a storage (temporary files, locks, damaged values) contain a character that no key has.
 */
import { StorageError } from '../model/storage.ts'

/** Far larger than any certificate or revocation list; a value is held in memory as a whole. */
export const maxValueBytes = 1024 * 1024

/** Paths are limited to 4096 bytes on Linux and 1024 on macOS, folder included. */
const maxKeyChars = 800
const part = /^(?!\.{1,2}$)[a-z0-9._:-]{1,200}$/

export function isKey(text: string): boolean {
  return text.length <= maxKeyChars && text.split('/').every(each => part.test(each))
}

/** Throws RangeError if it is not a key. */
export function checkKey(key: string): void {
  if (typeof key !== 'string' || !isKey(key))
    throw new RangeError(
      `${shown(key)} cannot be a key of the storage: parts of [a-z0-9._:-], joined by /, ${maxKeyChars} characters at most`,
    )
}

/** Throws RangeError if it is not a key followed by `/`. */
export function checkPrefix(prefix: string): void {
  if (typeof prefix !== 'string' || !prefix.endsWith('/') || !isKey(prefix.slice(0, -1)))
    throw new RangeError(`${shown(prefix)} cannot be a prefix of keys: a key, and a / at its end`)
}

/** @returns the value as one buffer, without a copy. Throws StorageError `refused` if it is too large. */
export function checkValue(key: string, value: Uint8Array): Buffer {
  if (value.byteLength > maxValueBytes)
    throw new StorageError('refused', `${key} has ${value.byteLength} bytes; the storage takes ${maxValueBytes}`)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

/** Throws RangeError for an invalid lifetime. */
export function checkTtl(ttlMs: number | undefined): void {
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs > 0))
    throw new RangeError(`${ttlMs} is not a life time in milliseconds`)
}

/** Where a damaged value is moved; the capital letters ensure that this is not a key. */
export function asideName(key: string, now: Date, attempt: number): string {
  const stamp = now
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-')
  return `${key}.damaged-${stamp}${attempt > 1 ? `-${attempt}` : ''}`
}

/** An invalid key, made safe for a message. */
function shown(key: unknown): string {
  return JSON.stringify(String(key).slice(0, 80))
}
