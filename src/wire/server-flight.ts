/**
 * A server's first flight in TLS 1.2, which is not encrypted (RFC 5246 section 7.3): for whoever must see its certificate as it
 * is sent, whatever a TLS library thinks of it. Lengths that are wrong make it nonsense; nothing throws.
 */

export type ServerFlight = {
  readonly version: number
  readonly random: Buffer
  readonly alpn: string | null
  /** DER, the leaf first */
  readonly chain: readonly Buffer[]
  /** ServerKeyExchange of an ECDHE suite (RFC 8422 section 5.4) */
  readonly keyExchange: { readonly params: Buffer; readonly scheme: number; readonly signature: Buffer } | null
}

type FlightRead =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'nonsense' }
  | { readonly kind: 'alert'; readonly description: number }
  | { readonly kind: 'flight'; readonly flight: ServerFlight }

const incomplete: FlightRead = { kind: 'incomplete' }
const nonsense: FlightRead = { kind: 'nonsense' }

/** Reads all that has come so far, up to ServerHelloDone. */
export function readServerFlight(bytes: Buffer): FlightRead {
  const content: Buffer[] = []
  for (let at = 0; at + 5 <= bytes.length; ) {
    const type = bytes[at]
    const end = at + 5 + bytes.readUInt16BE(at + 3)
    if (bytes[at + 1] !== 3 || end > at + 5 + 16_384 || (type !== 21 && type !== 22)) return nonsense
    if (end > bytes.length) break
    if (type === 21) return end === at + 7 ? { kind: 'alert', description: bytes[at + 6] as number } : nonsense
    content.push(bytes.subarray(at + 5, end))
    at = end
  }
  try {
    return readMessages(Buffer.concat(content))
  } catch (error) {
    if (error instanceof RangeError) return nonsense
    throw error
  }
}

/** Throws RangeError where a length reaches beyond its message. */
function readMessages(all: Buffer): FlightRead {
  let hello: Pick<ServerFlight, 'version' | 'random' | 'alpn'> | null = null
  let chain: Buffer[] = []
  let keyExchange: ServerFlight['keyExchange'] = null
  for (let at = 0; at + 4 <= all.length; ) {
    const end = at + 4 + all.readUIntBE(at + 1, 3)
    if (end > all.length) return incomplete
    const body = all.subarray(at + 4, end)
    const type = all[at]
    if ((type === 2) !== (hello === null)) return nonsense
    if (type === 2) hello = readHello(body)
    else if (type === 11) chain = readCertificates(body)
    else if (type === 12) keyExchange = readKeyExchange(body)
    else if (type === 14)
      return hello === null ? nonsense : { kind: 'flight', flight: { ...hello, chain, keyExchange } }
    at = end
  }
  return incomplete
}

function readHello(body: Buffer): Pick<ServerFlight, 'version' | 'random' | 'alpn'> {
  const version = body.readUInt16BE(0)
  const random = slice(body, 2, 34)
  let at = 35 + body.readUInt8(34) + 3
  let alpn: string | null = null
  if (at < body.length) {
    const end = at + 2 + body.readUInt16BE(at)
    for (at += 2; at < end; ) {
      const type = body.readUInt16BE(at)
      const value = slice(body, at + 4, at + 4 + body.readUInt16BE(at + 2))
      // A list of exactly one (RFC 7301 section 3.1).
      if (type === 16) alpn = slice(value, 3, 3 + value.readUInt8(2)).toString('latin1')
      at += 4 + value.length
    }
  }
  return { version, random, alpn }
}

function readCertificates(body: Buffer): Buffer[] {
  const chain: Buffer[] = []
  for (let at = 3; at < body.length; ) {
    const certificate = slice(body, at + 3, at + 3 + body.readUIntBE(at, 3))
    chain.push(certificate)
    at += 3 + certificate.length
  }
  return chain
}

/** A named curve, a point, then what they are signed with. */
function readKeyExchange(body: Buffer): ServerFlight['keyExchange'] {
  if (body.readUInt8(0) !== 3) return null
  const end = 4 + body.readUInt8(3)
  const scheme = body.readUInt16BE(end)
  return {
    params: slice(body, 0, end),
    scheme,
    signature: slice(body, end + 4, end + 4 + body.readUInt16BE(end + 2)),
  }
}

function slice(bytes: Buffer, from: number, to: number): Buffer {
  if (to > bytes.length) throw new RangeError('a length reaches beyond its message')
  return bytes.subarray(from, to)
}
