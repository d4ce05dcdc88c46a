/**
 * HPACK encoding (RFC 7541). Fields that repeat on a connection go into the dynamic table; those whose values are
 * different each time do not, and secrets short enough to be guessed are never indexed, here nor by whoever forwards
 * them (section 7.1). A block of field lines that needed no new entry is kept, and its bytes are used again as long as
 * the table stays as it was: for most answers of a connection, encoding is one comparison and one copy.
 */
import { defaultTableBytes } from './hpack-decoder.ts'
import { connectionNames, entryOverhead } from './hpack-field.ts'
import { staticCount, staticTable } from './hpack-static.ts'
import { huffmanEncode, huffmanLength } from './huffman.ts'

/** A value that changes with each message would only push others out of the table. */
const changing = new Set(
  ':path content-length etag last-modified age location content-range if-none-match if-modified-since range'.split(
    ' ',
  ),
)
/** Never indexed: an attacker who shares the connection could guess them by what compresses (section 7.1.3). */
const secret = new Set(['authorization', 'proxy-authorization'])
/** Long ones have too much entropy to guess, and repeat too often to be sent each time. */
const secretWhenShort = new Set(['cookie', 'set-cookie'])
const shortSecretBytes = 20

/** After so many insertions of a name, it must have been found again at least as often, or it is not indexed any more. */
const insertionsOnTrial = 8

const keptBlocks = 8

type Entry = { readonly name: string; readonly value: string; readonly size: number }
/** Where a name occurs: values to absolute numbers of entries; static ones are below `staticCount`. */
type Known = { readonly values: Map<string, number>; newest: number; inserted: number; found: number }
type Block = { readonly text: string; readonly age: number; readonly bytes: Buffer }

export class HpackEncoder {
  /** What was encoded since `begin` is `bytes[0, length)` */
  bytes: Buffer = Buffer.allocUnsafe(1024)
  length = 0
  private readonly names = new Map<string, Known>()
  /** Dynamic entries, the oldest first; `first` is the absolute number of the oldest */
  private entries: Entry[] = []
  private gone = 0
  private inserted = 0
  private size = 0
  private capacity = defaultTableBytes
  private readonly most: number
  /** The smallest capacity since the last block, and whether one must be said (section 4.2) */
  private smallest = defaultTableBytes
  private resized = false
  private readonly blocks: (Block | null)[] = new Array(keptBlocks).fill(null)

  /** @param most bytes of table that we use, however large a peer allows it to be */
  constructor(most = defaultTableBytes) {
    this.most = most
    for (let index = 0; index < staticCount; index++) {
      const { name, value } = staticTable[index] as Entry
      const known = this.known(name)
      if (known.values.size === 0) known.newest = index
      known.values.set(value, index)
    }
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setLimit(bytes: number): void {
    const capacity = Math.min(bytes, this.most)
    if (capacity === this.capacity && !this.resized) return
    this.capacity = capacity
    this.smallest = Math.min(this.smallest, capacity)
    this.resized = true
    this.evict(0)
    this.blocks.fill(null)
  }

  begin(): void {
    this.length = 0
    if (!this.resized) return
    this.reserve(16)
    if (this.smallest < this.capacity) this.integer(0x20, 0x1f, this.smallest)
    this.integer(0x20, 0x1f, this.capacity)
    this.smallest = this.capacity
    this.resized = false
  }

  /** Adds a field. `name` in lower case, `value` latin1. */
  field(name: string, value: string): void {
    this.reserve(name.length + value.length + 32)
    const known = this.names.get(name)
    const neverIndexed = secret.has(name) || (value.length < shortSecretBytes && secretWhenShort.has(name))
    if (known !== undefined && !neverIndexed) {
      const number = known.values.get(value)
      if (number !== undefined) {
        known.found++
        this.integer(0x80, 0x7f, this.index(number))
        return
      }
    }
    const index = known === undefined || known.newest < 0 ? 0 : this.index(known.newest)
    const size = name.length + value.length + entryOverhead
    const worthless = known !== undefined && known.inserted >= insertionsOnTrial && known.found < known.inserted
    if (neverIndexed) this.literal(0x10, 0x0f, index, name, value)
    else if (changing.has(name) || worthless || size > this.capacity / 2) this.literal(0, 0x0f, index, name, value)
    else {
      this.literal(0x40, 0x3f, index, name, value)
      this.insert(name, value, size)
    }
  }

  /** The same for a path that is worth an entry, as those of gRPC methods are. */
  repeatedPath(path: string): void {
    const number = this.names.get(':path')?.values.get(path)
    this.reserve(path.length + 32)
    if (number !== undefined) {
      this.integer(0x80, 0x7f, this.index(number))
      return
    }
    const size = 5 + path.length + entryOverhead
    if (size > this.capacity / 8) this.field(':path', path)
    else {
      this.literal(0x40, 0x3f, 4, '', path)
      this.insert(':path', path, size)
    }
  }

  /**
   * Adds field lines as HTTP/1 has them, each with its CRLF. Those about an HTTP/1 connection, which only a filter can have
   * put there, are left out: a peer would take the whole message for malformed (RFC 9113 section 8.2.2).
   */
  lines(text: string): void {
    if (text === '') return
    const slot = text.length % keptBlocks
    const kept = this.blocks[slot] as Block | null
    if (kept !== null && kept.age === this.inserted && kept.text === text) {
      this.reserve(kept.bytes.length)
      kept.bytes.copy(this.bytes, this.length)
      this.length += kept.bytes.length
      return
    }
    const from = this.length
    const age = this.inserted
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf('\r\n', at)
      const colon = text.indexOf(':', at)
      let first = colon + 1
      let last = end
      while (first < last && isBlank(text.charCodeAt(first))) first++
      while (last > first && isBlank(text.charCodeAt(last - 1))) last--
      const name = text.slice(at, colon).toLowerCase()
      const value = text.slice(first, last)
      if (!connectionNames.has(name) && (name !== 'te' || value === 'trailers')) this.field(name, value)
      at = end + 2
    }
    if (age === this.inserted) {
      this.blocks[slot] = { text, age, bytes: Buffer.from(this.bytes.subarray(from, this.length)) }
    }
  }

  private known(name: string): Known {
    const found = this.names.get(name)
    if (found !== undefined) return found
    const made: Known = { values: new Map(), newest: -1, inserted: 0, found: 0 }
    this.names.set(name, made)
    return made
  }

  /** Wire index of an entry by its absolute number. */
  private index(number: number): number {
    return number < staticCount ? number + 1 : staticCount + this.inserted - (number - staticCount)
  }

  private insert(name: string, value: string, size: number): void {
    this.evict(size)
    if (size > this.capacity) return
    const number = staticCount + this.inserted++
    this.entries.push({ name, value, size })
    this.size += size
    const known = this.known(name)
    known.inserted++
    known.values.set(value, number)
    // A static entry's name is as good, and never goes away.
    if (known.newest < 0 || known.newest >= staticCount) known.newest = number
  }

  private evict(room: number): void {
    while (this.gone < this.entries.length && this.size + room > this.capacity) {
      const { name, value, size } = this.entries[this.gone] as Entry
      const number = staticCount + this.inserted - (this.entries.length - this.gone)
      this.gone++
      this.size -= size
      const known = this.names.get(name) as Known
      if (known.values.get(value) === number) known.values.delete(value)
      if (known.newest === number) known.newest = -1
      // Names come from backends: one that is in no table any more is forgotten with its trial.
      if (known.values.size === 0) this.names.delete(name)
    }
    if (this.gone > 32 && this.gone * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.gone)
      this.gone = 0
    }
  }

  private literal(pattern: number, prefix: number, index: number, name: string, value: string): void {
    this.integer(pattern, prefix, index)
    if (index === 0) this.string(name)
    this.string(value)
  }

  private string(text: string): void {
    const coded = huffmanLength(text)
    if (coded < text.length) {
      this.integer(0x80, 0x7f, coded)
      this.length = huffmanEncode(text, this.bytes, this.length)
    } else {
      this.integer(0, 0x7f, text.length)
      this.length += this.bytes.write(text, this.length, 'latin1')
    }
  }

  private integer(pattern: number, prefix: number, value: number): void {
    const { bytes } = this
    if (value < prefix) {
      bytes[this.length++] = pattern | value
      return
    }
    bytes[this.length++] = pattern | prefix
    let rest = value - prefix
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[this.length++] = 0x80 | (rest & 0x7f)
    bytes[this.length++] = rest
  }

  private reserve(bytes: number): void {
    if (this.bytes.length - this.length >= bytes) return
    const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + bytes))
    this.bytes.copy(grown, 0, 0, this.length)
    this.bytes = grown
  }
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09
