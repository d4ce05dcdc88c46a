/**
 * The entries of a revocation list (RFC 5280 section 5.3): a walk over the bytes that makes no object for an entry, since
 * lists of a million are real. Two passes, one that checks and counts and one that takes the serial numbers; both pause
 * every few thousand entries, so that a caller may let others have a turn.
 *
 * Invariant: a critical extension that is not understood makes the whole list unusable (section 5.3): such an entry may be
 * of another CA's certificate.
 */
import { UsageError } from '../../base/errors.ts'
import { DerError, type DerValue, read, readOid, tags } from './der.ts'
import { mostSerialBytes, SerialSet } from './serial-set.ts'

/** About a millisecond */
const entriesPerPause = 8_192

/** @param entries SEQUENCE OF. Throws DerError, and UsageError for what must not be passed over. */
export function* readEntries(entries: DerValue | undefined): Generator<void, SerialSet> {
  if (entries === undefined) return new SerialSet(0, 0)
  const bytes = entries.content
  const walk = new Walk(bytes)
  let count = 0
  let total = 0
  for (let at = 0; at < bytes.length; ) {
    const end = walk.enter(at, bytes.length, tags.sequence)
    const serialEnd = walk.enter(walk.start, end, tags.integer)
    const length = serialEnd - walk.start
    if (length === 0 || length > mostSerialBytes) throw new DerError(`a serial number of ${length} bytes`)
    const timeEnd = walk.enter(serialEnd, end)
    if (walk.tag !== tags.utcTime && walk.tag !== tags.generalizedTime)
      throw new DerError('a time is missing in an entry')
    if (timeEnd < end) checkExtensions(walk, timeEnd, end)
    total += length
    at = end
    if (++count % entriesPerPause === 0) yield
  }
  const serials = new SerialSet(count, total)
  let taken = 0
  for (let at = 0; at < bytes.length; ) {
    const end = walk.enter(at, bytes.length, tags.sequence)
    const serialEnd = walk.enter(walk.start, end, tags.integer)
    serials.add(bytes, walk.start, serialEnd)
    at = end
    if (++taken % entriesPerPause === 0) yield
  }
  return serials
}

/** One place in DER; `enter` moves it to the content of the value that begins there. As strict as the reader in der.ts. */
class Walk {
  readonly bytes: Buffer
  tag = 0
  /** Of the content */
  start = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** @param limit where what holds the value ends. @returns where the value ends */
  enter(at: number, limit: number, tag?: number): number {
    const { bytes } = this
    if (at + 2 > limit) throw new DerError('an entry is cut off')
    this.tag = bytes[at] as number
    if (tag !== undefined && this.tag !== tag)
      throw new DerError(`expected tag 0x${tag.toString(16)}, found 0x${this.tag.toString(16)} in an entry`)
    let length = bytes[at + 1] as number
    this.start = at + 2
    if (length >= 0x80) {
      const size = length & 0x7f
      if (size === 0 || size > 4 || this.start + size > limit) throw new DerError('a length in an entry is damaged')
      length = bytes.readUIntBE(this.start, size)
      if (length < 0x80 || length < 256 ** (size - 1)) throw new DerError('a length that is not the shortest form')
      this.start += size
    }
    const end = this.start + length
    if (end > limit) throw new DerError('an entry is cut off')
    return end
  }
}

/** reasonCode is 2.5.29.21 */
const isReason = (bytes: Buffer, start: number, end: number): boolean =>
  end - start === 3 && bytes[start] === 0x55 && bytes[start + 1] === 0x1d && bytes[start + 2] === 21

const removeFromCrl = 8

function checkExtensions(walk: Walk, from: number, end: number): void {
  const { bytes } = walk
  if (walk.enter(from, end, tags.sequence) !== end) throw new DerError('an entry holds more than its extensions')
  for (let at = walk.start; at < end; ) {
    const extensionEnd = walk.enter(at, end, tags.sequence)
    const idStart = walk.start
    let next = walk.enter(idStart, extensionEnd, tags.oid)
    const reason = isReason(bytes, walk.start, next)
    const idEnd = next
    next = walk.enter(next, extensionEnd)
    const critical = walk.tag === tags.boolean && bytes[walk.start] !== 0
    if (walk.tag === tags.boolean) next = walk.enter(next, extensionEnd)
    if (walk.tag !== tags.octetString || next !== extensionEnd)
      throw new DerError('an extension of an entry is damaged')
    if (reason && bytes[next - 1] === removeFromCrl)
      throw new UsageError(
        'an entry says removeFromCRL, which only a delta list may; give the complete list of the CA',
      )
    if (critical && !reason)
      throw new UsageError(
        `an entry has the critical extension ${entryExtensionName(bytes.subarray(idStart, idEnd))}, which is not supported`,
      )
    at = extensionEnd
  }
}

function entryExtensionName(oidDer: Buffer): string {
  const id = readOid(read(oidDer))
  return id === '2.5.29.29' ? `${id} (certificateIssuer: the list is indirect, of several CAs)` : id
}
