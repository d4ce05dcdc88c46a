/**
 * Reading files that somebody may replace at this moment. A stamp says which state of a file was read: device, inode,
 * size and both times of what the name leads to, so that it changes with a rename, a symbolic link set elsewhere (as
 * Kubernetes does with `..data`, and certbot with `live/`), a write in place, and a change of permissions. It is these
 * five mixed into 53 bits: there are ten thousand of them, and as text they took 280 bytes for each certificate.
 *
 * Invariants: opening never blocks (a FIFO without a writer would, for ever), and a file of more than `mostBytes` is not read.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs'
import { messageOf, UsageError } from '../../base/errors.ts'

/** A chain of ten large certificates is 30 kB; a whole trust store is 250 kB. */
const mostBytes = 1024 * 1024

/** File systems keep times as coarsely as this: two writes within it can leave the same stamp. */
const coarseMs = 2_000

/** Whatever happens to a file, its stamp becomes another; one that is not there has the reason for its stamp, below zero. */
export function stampOf(file: string): number {
  return stampAndTime(file).stamp
}

/** @returns changedMs when it was changed; NaN where it is not there */
export function stampAndTime(file: string): { readonly stamp: number; readonly changedMs: number } {
  try {
    const found = statSync(file)
    return { stamp: stampFrom(found), changedMs: found.ctimeMs }
  } catch (error) {
    return { stamp: -Math.abs((error as NodeJS.ErrnoException).errno ?? 1), changedMs: Number.NaN }
  }
}

export function stampFrom({ dev, ino, size, mtimeMs, ctimeMs }: Stats): number {
  return mixed([dev, ino, size, mtimeMs, ctimeMs])
}

/** 53 bits of all numbers with their fractions, in their order (cyrb53, with a shift in each round against what cancels out). */
function mixed(values: readonly number[]): number {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  const take = (word: number) => {
    high = Math.imul(high ^ word, 0x9e3779b1)
    high ^= high >>> 16
    low = Math.imul(low ^ word, 0x5f356495)
    low ^= low >>> 15
  }
  for (const value of values) {
    take(value | 0)
    take((value / 2 ** 32) | 0)
    take(((value % 1) * 2 ** 32) | 0)
  }
  high = Math.imul(high ^ (high >>> 13), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 16), 0xc2b2ae35)
  low = Math.imul(low ^ (low >>> 13), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 16), 0xc2b2ae35)
  return 2 ** 32 * (low & 0x1fffff) + (high >>> 0)
}

type StampedText = {
  /** One character a byte: half the memory of UTF-16, and PEM is ASCII */
  readonly text: string
  readonly stamp: number
  /** It was changed so shortly before that a change after it might not show in the stamp */
  readonly young: boolean
}

/** Throws UsageError where there is no regular file of a sane size that may be read. */
export function readStamped(file: string): StampedText {
  return readOpened(file, mostBytes, 'a PEM file has at most 1 MB', (descriptor, found) => ({
    // One that grows meanwhile has another stamp afterwards. A buffer of our own would cost 2 kB more for each text that is kept.
    text: readFileSync(descriptor, 'latin1'),
    stamp: stampFrom(found),
    young: Math.abs(Date.now() - Math.max(found.mtimeMs, found.ctimeMs)) < coarseMs,
  }))
}

/**
 * Opens it without ever waiting, as a pipe without a writer would have one do, and gives what `read` gives.
 *
 * @param limit in words. Throws UsageError where there is no regular file of at most `most` bytes that may be read.
 */
export function readOpened<T>(
  file: string,
  most: number,
  limit: string,
  read: (descriptor: number, found: Stats) => T,
): T {
  let descriptor: number
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new UsageError(`${file}: ${readProblem(error)}`)
  }
  try {
    const found = fstatSync(descriptor)
    if (found.isDirectory()) throw new UsageError(`${file}: is a folder, not a file`)
    if (!found.isFile()) throw new UsageError(`${file}: is not a regular file (a pipe, a socket or a device)`)
    if (found.size > most) throw new UsageError(`${file}: has ${found.size} bytes; ${limit}`)
    return read(descriptor, found)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${file}: ${readProblem(error)}`)
  } finally {
    closeSync(descriptor)
  }
}

export function readProblem(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'does not exist'
  if (code === 'EISDIR') return 'is a folder, not a file'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by the user that Sallyport runs as'
  if (code === 'ELOOP') return 'is a symbolic link that leads in a circle'
  return `cannot be read: ${messageOf(error)}`
}

export type PairText = {
  readonly chainText: string
  readonly keyText: string
  /** Of both texts, where one is young or it is asked for: they may be the same under another stamp */
  readonly digest: string | null
  readonly stamp: number
  readonly young: boolean
}

/** As often as this a pair is read again at once when it changes under our hands. */
const tries = 3

/**
 * Both files of one state: neither was replaced between the first byte of the one and the last of the other, except by
 * links set to files that are older than the last seconds, which the next look finds. Throws UsageError. That the key
 * belongs to the chain is for the caller to find out.
 */
export function readPair(chainFile: string, keyFile: string, withDigest = false): PairText {
  for (let left = tries; left > 0; left--) {
    const chain = readStamped(chainFile)
    const key = keyFile === chainFile ? chain : readStamped(keyFile)
    const stamp = joined(chain.stamp, key.stamp, chainFile === keyFile)
    const young = chain.young || key.young
    if (young && stamp !== pairStamp(chainFile, keyFile)) continue
    const digest = young || withDigest ? digestOf(chain.text, key.text) : null
    return { chainText: chain.text, keyText: key.text, digest, stamp, young }
  }
  throw new UsageError(`${chainFile}: is being written right now`)
}

const digestOf = (chain: string, key: string): string =>
  createHash('sha256').update(chain).update('\0').update(key).digest('base64')

export function pairStamp(chainFile: string, keyFile: string): number {
  const chain = stampOf(chainFile)
  return keyFile === chainFile ? chain : joined(chain, stampOf(keyFile), false)
}

const joined = (chain: number, key: number, same: boolean): number => (same ? chain : mixed([chain, key]))
