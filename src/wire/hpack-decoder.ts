/**
 * HPACK decoding (RFC 7541). One decoder a connection; a header block is given whole. Everything that the RFC calls a
 * decoding error ends the connection, since the tables of the two sides would differ from then on.
 */
import { latin1 } from '../base/bytes.ts'
import { HpackField } from './hpack-field.ts'
import { staticCount, staticTable } from './hpack-static.ts'
import { huffmanDecode, huffmanDecodedAtMost } from './huffman.ts'

export interface HpackSink {
  onField(field: HpackField): void
}

/** What SETTINGS_HEADER_TABLE_SIZE is until it is changed; we never change it. */
export const defaultTableBytes = 4096

/** More than any header block that we accept: whatever is longer is a mistake or an attack. */
const mostIntegerBytes = 5

export class HpackDecoder {
  private bytes: Buffer = empty
  private at = 0
  private to = 0
  private problem: string | null = null
  /** Ring of entries, the newest at `newest` */
  private ring: (HpackField | null)[] = new Array(64).fill(null)
  private newest = 0
  private count = 0
  private size = 0
  /** As the peer's encoder has it, at most `limit` */
  private capacity: number
  private readonly limit: number
  private scratch: Buffer = Buffer.allocUnsafe(512)

  /** @param limit what we announce as SETTINGS_HEADER_TABLE_SIZE, in bytes */
  constructor(limit = defaultTableBytes) {
    this.limit = limit
    this.capacity = limit
  }

  /** Decodes one header block. @returns what is wrong with it, or null */
  decode(bytes: Buffer, from: number, to: number, sink: HpackSink): string | null {
    this.bytes = bytes
    this.at = from
    this.to = to
    this.problem = null
    let fields = 0
    while (this.at < this.to && this.problem === null) {
      const byte = bytes[this.at] as number
      if (byte & 0x80) {
        // An index of one byte is nearly always what comes.
        let index = byte & 0x7f
        if (index === 0x7f) index = this.integer(0x7f)
        else this.at++
        const found = this.entry(index)
        if (found === null) break
        fields++
        sink.onField(found)
      } else if (byte & 0x40) {
        const field = this.literal(0x3f)
        if (field === null) break
        this.insert(field)
        fields++
        sink.onField(field)
      } else if (byte & 0x20) {
        const capacity = this.integer(0x1f)
        if (fields > 0) this.problem = 'a table size update behind a field'
        else if (capacity > this.limit)
          this.problem = `a table size of ${capacity}, over the ${this.limit} we allow`
        else {
          this.capacity = capacity
          this.evict(0)
        }
      } else {
        const field = this.literal(0x0f)
        if (field === null) break
        fields++
        sink.onField(field)
      }
    }
    this.bytes = empty
    return this.problem
  }

  /** Entries in the dynamic table, for tests. */
  get tableBytes(): number {
    return this.size
  }

  private literal(prefix: number): HpackField | null {
    const index = this.integer(prefix)
    let name = ''
    if (index === 0) name = this.string()
    else {
      const known = this.entry(index)
      if (known === null) return null
      name = known.name
    }
    if (this.problem !== null) return null
    const value = this.string()
    return this.problem === null ? new HpackField(name, value) : null
  }

  private entry(index: number): HpackField | null {
    if (this.problem !== null) return null
    if (index >= 1 && index <= staticCount) return staticTable[index - 1] as HpackField
    const back = index - staticCount - 1
    if (index === 0 || back >= this.count) {
      this.problem = `an index of ${index}, and the tables have ${staticCount + this.count}`
      return null
    }
    return this.ring[(this.newest - back) & (this.ring.length - 1)] as HpackField
  }

  private insert(field: HpackField): void {
    // An entry larger than the table empties it, and is no error (section 4.4).
    this.evict(field.size)
    if (field.size > this.capacity) return
    if (this.count === this.ring.length) this.grow()
    this.newest = (this.newest + 1) & (this.ring.length - 1)
    this.ring[this.newest] = field
    this.count++
    this.size += field.size
  }

  private evict(room: number): void {
    while (this.count > 0 && this.size + room > this.capacity) {
      const oldest = (this.newest - this.count + 1) & (this.ring.length - 1)
      this.size -= (this.ring[oldest] as HpackField).size
      this.ring[oldest] = null
      this.count--
    }
  }

  private grow(): void {
    const old = this.ring
    const ring: (HpackField | null)[] = new Array(old.length * 2).fill(null)
    for (let back = 0; back < this.count; back++) {
      ring[this.count - 1 - back] = old[(this.newest - back) & (old.length - 1)] as HpackField
    }
    this.ring = ring
    this.newest = this.count - 1
  }

  /** Section 5.1 */
  private integer(prefix: number): number {
    const first = (this.bytes[this.at++] as number) & prefix
    if (first < prefix) return first
    let value = prefix
    let scale = 1
    for (let count = 0; count < mostIntegerBytes; count++) {
      if (this.at >= this.to) {
        this.problem = 'a header block that ends inside an integer'
        return 0
      }
      const byte = this.bytes[this.at++] as number
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    this.problem = 'an integer of more than five bytes'
    return 0
  }

  /** Section 5.2 */
  private string(): string {
    if (this.at >= this.to) {
      this.problem = 'a header block that ends before a string'
      return ''
    }
    const coded = ((this.bytes[this.at] as number) & 0x80) !== 0
    const length = this.integer(0x7f)
    const from = this.at
    if (this.problem !== null) return ''
    if (length > this.to - from) {
      this.problem = 'a header block that ends inside a string'
      return ''
    }
    this.at = from + length
    if (!coded) return latin1(this.bytes, from, this.at)
    const atMost = huffmanDecodedAtMost(length)
    if (this.scratch.length < atMost) this.scratch = Buffer.allocUnsafe(atMost)
    const decoded = huffmanDecode(this.bytes, from, this.at, this.scratch)
    if (decoded >= 0) return latin1(this.scratch, 0, decoded)
    this.problem = 'a string with a bad Huffman code'
    return ''
  }
}

const empty = Buffer.alloc(0)
