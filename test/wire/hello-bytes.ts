/** ClientHellos to test with: built field by field, from the public vectors, and cut into records. */
const u16 = (n: number): Buffer => Buffer.from([n >>> 8, n])
const block = (bytes: Uint8Array, lengthBytes: 1 | 2): Buffer =>
  Buffer.concat([lengthBytes === 1 ? Buffer.from([bytes.length]) : u16(bytes.length), bytes])
const numbers = (list: readonly number[]): Buffer => Buffer.concat(list.map(u16))

/** An extension with its type and length. */
export const extension = (type: number, body: Uint8Array): Buffer => Buffer.concat([u16(type), block(body, 2)])
export const entry = (name: Uint8Array, type = 0): Buffer => Buffer.concat([Buffer.from([type]), block(name, 2)])
export const sniOf = (...entries: Uint8Array[]): Buffer => extension(0, block(Buffer.concat(entries), 2))
export const sni = (name: string): Buffer => sniOf(entry(Buffer.from(name, 'latin1')))
export const alpn = (...names: string[]): Buffer =>
  extension(16, block(Buffer.concat(names.map(name => block(Buffer.from(name, 'latin1'), 1))), 2))
export const versions = (...list: number[]): Buffer => extension(43, block(numbers(list), 1))
export const groups = (...list: number[]): Buffer => extension(10, block(numbers(list), 2))
export const signatures = (...list: number[]): Buffer => extension(13, block(numbers(list), 2))
export const keyShares = (...list: number[]): Buffer =>
  extension(51, block(Buffer.concat(list.map(n => Buffer.concat([u16(n), block(Buffer.alloc(32, 7), 2)]))), 2))
export const psk = (identities = 1, binders = identities): Buffer => {
  const identity = Buffer.concat([block(Buffer.alloc(16, 1), 2), Buffer.alloc(4)])
  const binder = block(Buffer.alloc(32, 2), 1)
  const offered = Buffer.concat(Array.from({ length: identities }, () => identity))
  const bound = Buffer.concat(Array.from({ length: binders }, () => binder))
  return extension(41, Buffer.concat([block(offered, 2), block(bound, 2)]))
}

export type HelloParts = {
  version?: number
  sessionId?: Uint8Array
  suites?: Uint8Array
  compression?: Uint8Array
  /** Null leaves the whole field out */
  extensions?: readonly Uint8Array[] | null
  /** Behind everything, inside the message */
  trailing?: Uint8Array
}

/** A handshake message with its four-byte header. */
export function hello(parts: HelloParts = {}): Buffer {
  const extensions = parts.extensions === undefined ? [sni('example.com')] : parts.extensions
  const body = Buffer.concat([
    u16(parts.version ?? 0x0303),
    Buffer.alloc(32, 0xaa),
    block(parts.sessionId ?? Buffer.alloc(32, 5), 1),
    block(parts.suites ?? numbers([0x1301, 0xc02f]), 2),
    block(parts.compression ?? Buffer.alloc(1), 1),
    extensions === null ? Buffer.alloc(0) : block(Buffer.concat(extensions), 2),
    parts.trailing ?? Buffer.alloc(0),
  ])
  return message(1, body)
}

export const message = (type: number, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([type, body.length >>> 16, body.length >>> 8, body.length]), body])

export const record = (content: Uint8Array, type = 22, version = 0x0301): Buffer =>
  Buffer.concat([Buffer.from([type]), u16(version), block(content, 2)])

/** The message in records of at most `size` bytes. */
export function records(content: Uint8Array, size: number): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < content.length; at += size) parts.push(record(content.subarray(at, at + size)))
  return Buffer.concat(parts)
}

/** xorshift32: the same numbers in every run. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}
