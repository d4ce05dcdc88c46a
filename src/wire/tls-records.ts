/**
 * Finds the ClientHello in the first TLS records of a connection (RFC 8446 section 5.1). A hello may be spread over
 * any number of records and any number of TCP segments; a parser that gives up on a split hello is how a proxy
 * serves the wrong site's terms (attack class "SNI split"), so every split is read and everything else is refused.
 *
 * The walk keeps only numbers between calls: a call costs as many steps as there are new complete records, so a peer
 * that sends one byte at a time costs no more than one that sends all at once.
 */
import { type Malformed, malformed } from './tls-alert.ts'

const handshakeType = 22
const clientHelloType = 1
const maxFragment = 1 << 14

type RecordWalk = {
  /** Offset of the first record that is not complete yet */
  at: number
  /** Complete records so far */
  records: number
  /** Bytes of the handshake message in them */
  gathered: number
  /** The message's first bytes, most significant first: its type and its 24-bit length */
  head: number
  /** How many of those four have been seen */
  headBytes: number
}

export const startWalk = (): RecordWalk => ({ at: 0, records: 0, gathered: 0, head: 0, headBytes: 0 })

/** An SSL 2.0 ClientHello: a two-byte length with the high bit set, message type 1, a version. */
function isSsl2(bytes: Uint8Array): boolean {
  return bytes[0] >= 0x80 && bytes[2] === 1 && (bytes[3] === 3 || (bytes[3] === 0 && bytes[4] === 2))
}

/**
 * Reads on from where the walk stands. `bytes` holds everything from the start of the connection, of which the first
 * `have` are valid. True when the hello is complete: it ends at `walk.at`.
 *
 * @param maxBytes the hello may take this many bytes on the wire, record headers included
 */
export function walkRecords(
  walk: RecordWalk,
  bytes: Uint8Array,
  have: number,
  maxBytes: number,
): boolean | Malformed {
  while (walk.at < have) {
    const at = walk.at
    if (bytes[at] !== handshakeType) {
      if (at === 0 && bytes[0] >= 0x80 && have < 5) return false
      if (at === 0 && isSsl2(bytes)) return malformed('protocol_version', 'an SSL 2.0 ClientHello')
      const where = at === 0 ? 'the first record' : `record ${walk.records + 1}, inside the ClientHello,`
      return malformed('unexpected_message', `${where} has content type ${bytes[at]}, not handshake`)
    }
    if (have - at < 5) return false
    if (bytes[at + 1] !== 3)
      return malformed('protocol_version', `record version ${bytes[at + 1]}.${bytes[at + 2]}`)
    const length = (bytes[at + 3] << 8) | bytes[at + 4]
    if (length === 0) return malformed('unexpected_message', 'an empty handshake record')
    if (length > maxFragment)
      return malformed('record_overflow', `a record of ${length} bytes, more than ${maxFragment}`)
    const from = at + 5
    const end = from + length
    if (end > maxBytes) return malformed('illegal_parameter', `a ClientHello of more than ${maxBytes} bytes`)

    // Judge the message's own header as soon as it is here: a peer need not send 16 kB to learn that it is refused.
    let { head, headBytes } = walk
    const seen = Math.min(end, have)
    for (let i = from; i < seen && headBytes < 4; i++) {
      head = ((head << 8) | bytes[i]) >>> 0
      if (headBytes++ === 0 && head !== clientHelloType) {
        return malformed('unexpected_message', `handshake message ${head}, not a ClientHello`)
      }
    }
    if (headBytes === 4) {
      const total = 4 + (head & 0xffffff)
      if (total > maxBytes) return malformed('illegal_parameter', `a ClientHello of more than ${maxBytes} bytes`)
      // Section 5.1: a message before a key change ends its record, and every ClientHello may be before one.
      if (walk.gathered + length > total) {
        return malformed('unexpected_message', 'handshake bytes after the ClientHello in the same record')
      }
    }
    if (have < end) return false
    walk.head = head
    walk.headBytes = headBytes
    walk.gathered += length
    walk.records++
    walk.at = end
    if (headBytes === 4 && walk.gathered === 4 + (head & 0xffffff)) return true
  }
  return false
}

/** The handshake message of a complete walk over more than one record, in one piece, its four-byte header included. */
export function joinRecords(walk: RecordWalk, bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(walk.gathered)
  let to = 0
  for (let at = 0; at < walk.at; ) {
    const from = at + 5
    at = from + ((bytes[at + 3] << 8) | bytes[at + 4])
    message.set(bytes.subarray(from, at), to)
    to += at - from
  }
  return message
}
