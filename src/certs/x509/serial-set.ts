/**
 * Serial numbers of a revocation list, compactly: the bytes of all one after the other, and a table of where each begins.
 * A million of 16 bytes take 25 MB; as texts in a Set they took four times that.
 *
 * Invariant: a serial number is compared without leading zeros, as `serialOf` writes it (x509-read.ts).
 */
import { randomInt } from 'node:crypto'

/** RFC 5280 allows 20; some CAs have been longer. */
export const mostSerialBytes = 64

export class SerialSet {
  size = 0
  private readonly bytes: Buffer
  private end = 0
  /** Offsets plus one; 0 is free. Never more than half full. */
  private readonly table: Uint32Array
  /** Whoever chooses serial numbers cannot choose them to collide */
  private readonly seed = randomInt(2 ** 31)

  /** @param count at most so many will be added. @param byteLength of all of them together */
  constructor(count: number, byteLength: number) {
    this.bytes = Buffer.allocUnsafeSlow(count + byteLength)
    this.table = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(4, count * 2))))
  }

  /** The bytes from `start` to `end`, of which there are at most `mostSerialBytes`. */
  add(from: Buffer, start: number, end: number): void {
    const first = significant(from, start, end)
    const slot = this.slotOf(from, first, end)
    if (this.table[slot] !== 0) return
    this.table[slot] = this.end + 1
    this.bytes[this.end++] = end - first
    for (let at = first; at < end; at++) this.bytes[this.end++] = from[at] as number
    this.size++
  }

  /** @param serial hex */
  has(serial: string): boolean {
    const bytes = Buffer.from(serial.length % 2 === 0 ? serial : `0${serial}`, 'hex')
    return this.table[this.slotOf(bytes, significant(bytes, 0, bytes.length), bytes.length)] !== 0
  }

  /** Where it is, or the free place where it would be. */
  private slotOf(from: Buffer, start: number, end: number): number {
    const { table, bytes } = this
    const mask = table.length - 1
    let hash = this.seed
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (from[at] as number), 0x01000193)
    hash ^= hash >>> 15
    hash = Math.imul(hash, 0x85ebca6b)
    hash ^= hash >>> 13
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const known = table[slot] as number
      if (known === 0) return slot
      if (bytes[known - 1] !== end - start) continue
      let same = 0
      while (same < end - start && bytes[known + same] === from[start + same]) same++
      if (same === end - start) return slot
    }
  }
}

/** Where the serial number begins behind its leading zeros; the last byte always counts. */
function significant(from: Buffer, start: number, end: number): number {
  let at = start
  while (at < end - 1 && from[at] === 0) at++
  return at
}
