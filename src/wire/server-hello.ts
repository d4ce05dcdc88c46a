/** What a server answers to a ClientHello, as far as it can be read without keys (RFC 8446 section 4.1.3, RFC 5246). */

export type ServerAnswer =
  | { readonly kind: 'incomplete' }
  /** `description` is that of the alert, -1 for what is no TLS at all */
  | { readonly kind: 'refused'; readonly description: number }
  | { readonly kind: 'hello'; readonly version: number; readonly suite: number; readonly group: number | null }

const u16 = (bytes: Buffer, at: number): number => bytes.readUInt16BE(at)
const incomplete: ServerAnswer = { kind: 'incomplete' }
const nonsense: ServerAnswer = { kind: 'refused', description: -1 }

/** Reads all that has come so far. The group is that of a retry or key share, or of the key exchange before TLS 1.3. */
export function readServerAnswer(bytes: Buffer): ServerAnswer {
  const messages: Buffer[] = []
  let at = 0
  while (at + 5 <= bytes.length) {
    const type = bytes[at]
    const length = u16(bytes, at + 3)
    if (bytes[at + 1] !== 3 || length > 18_432) return nonsense
    if (at + 5 + length > bytes.length) break
    const content = bytes.subarray(at + 5, at + 5 + length)
    // Behind the hello of TLS 1.3 all is encrypted.
    if (type === 21 && length === 2 && messages.length === 0)
      return { kind: 'refused', description: content[1] as number }
    if (type === 22) messages.push(content)
    else if (messages.length === 0) return nonsense
    at += 5 + length
  }
  if (bytes.length >= 2 && bytes[0] !== 22 && bytes[0] !== 21) return nonsense
  return readFlight(Buffer.concat(messages))
}

function readFlight(flight: Buffer): ServerAnswer {
  let hello: { version: number; suite: number; group: number | null } | null = null
  let at = 0
  while (at + 4 <= flight.length) {
    const length = flight.readUIntBE(at + 1, 3)
    const body = flight.subarray(at + 4, at + 4 + length)
    if (body.length < length) break
    const type = flight[at]
    if (type === 2) hello = readHello(body)
    if (hello === null) return nonsense
    if (hello.version === 0x0304) return { kind: 'hello', ...hello }
    // ServerKeyExchange with a named curve, or the end of the flight where there is none.
    if (type === 12) return { kind: 'hello', ...hello, group: body[0] === 3 ? u16(body, 1) : null }
    if (type === 14) return { kind: 'hello', ...hello }
    at += 4 + length
  }
  return incomplete
}

function readHello(body: Buffer): { version: number; suite: number; group: number | null } | null {
  if (body.length < 38) return null
  const session = body[34] as number
  let at = 35 + session
  if (at + 3 > body.length) return null
  const suite = u16(body, at)
  let version = u16(body, 0)
  let group: number | null = null
  at += 5
  while (at + 4 <= body.length) {
    const type = u16(body, at)
    const length = u16(body, at + 2)
    if (at + 4 + length > body.length) return null
    if (type === 43 && length === 2) version = u16(body, at + 4)
    if (type === 51 && length >= 2) group = u16(body, at + 4)
    at += 4 + length
  }
  return { version, suite, group }
}
