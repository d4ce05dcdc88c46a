/**
 * PostgreSQL until SSLRequest (protocol 3.0, "SSL Session Encryption"): GSSENCRequest is answered with N, SSLRequest with S, and
 * all else is refused in PostgreSQL's own words. Passwords, the names of databases, and the keys of cancel requests are for the
 * backend alone, and come inside TLS.
 */
import {
  closing,
  malformed,
  more,
  pipelined,
  type Refused,
  type Said,
  type StartTlsDialog,
  startTls,
} from './dialog.ts'

/** The codes in place of a protocol version */
const codes = { cancel: 80877102, ssl: 80877103, gss: 80877104 } as const

/** What a client sends to begin TLS: eight bytes, the length among them */
export const sslRequest = Buffer.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f)

/** As PostgreSQL's own MAX_STARTUP_PACKET_LENGTH */
const maxStartupBytes = 10_000

/** The first packet of a PostgreSQL client: a length, and a code or version 2 or 3. `incomplete`: it could become one. */
export function isPostgres(bytes: Uint8Array): boolean | 'incomplete' {
  const known = Math.min(bytes.length, 8)
  for (let at = 0; at < Math.min(known, 2); at++) if (bytes[at] !== 0) return false
  if (known < 8) return 'incomplete'
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  const length = view.getUint32(0)
  const code = view.getUint32(4)
  if (length < 8 || length > maxStartupBytes) return false
  return (code >= codes.cancel && code <= codes.gss) || code >>> 16 === 3 || code === 2 << 16
}

export class PostgresDialog implements StartTlsDialog {
  readonly greeting = ''
  /** Why TLS is not offered; null where it is */
  private readonly unserved: Refused | null
  private readonly head = Buffer.alloc(8)
  private have = 0
  private sawGss = false
  /** Bytes of a startup packet that are still to come, and what it is answered then */
  private rest = 0
  private refusal: Said | null = null

  constructor(unserved: Refused | null) {
    this.unserved = unserved
  }

  push(chunk: Buffer): Said {
    let at = 0
    if (this.refusal === null) {
      at = Math.min(8 - this.have, chunk.length)
      chunk.copy(this.head, this.have, 0, at)
      this.have += at
      if (this.have < 8) return more()
      this.have = 0
      const said = this.take(this.head.readUInt32BE(0), this.head.readUInt32BE(4), chunk.length - at)
      if (said !== null) return said
    }
    // A connection that is closed with bytes unread is reset, and its answer may be lost with it.
    this.rest -= Math.min(this.rest, chunk.length - at)
    return this.rest > 0 ? more() : (this.refusal as Said)
  }

  goodbye(why: string): string {
    return errorResponse('57P03', why)
  }

  ended(): Refused | null {
    return this.have > 0 || this.refusal !== null
      ? { code: 'STARTTLS_MALFORMED', why: 'the client closed in the middle of a packet' }
      : null
  }

  release(): void {}

  /** @returns null where the rest of the packet has to come first */
  private take(length: number, code: number, behind: number): Said | null {
    if (code === codes.ssl && length === 8) return this.ssl(behind)
    if (code === codes.gss && length === 8) {
      if (this.sawGss) return malformed(errorResponse('08P01', 'two GSSENCRequests'), 'two GSSENCRequests')
      this.sawGss = true
      if (behind > 0) return this.early('GSSENCRequest', behind)
      return more('N')
    }
    if (length < 8 || length > maxStartupBytes)
      return malformed(errorResponse('08P01', 'invalid length of startup packet'), 'no PostgreSQL startup packet')
    this.rest = length - 8
    this.refusal = this.refused(code)
    return null
  }

  private ssl(behind: number): Said {
    if (behind > 0) return this.early('SSLRequest', behind)
    if (this.unserved !== null)
      return closing(errorResponse('0A000', 'PostgreSQL is not served here'), this.unserved)
    return startTls('S')
  }

  private early(packet: string, behind: number): Said {
    return pipelined(errorResponse('08P01', `received unencrypted data after ${packet}`), packet, behind)
  }

  private refused(code: number): Said {
    // Nobody reads an answer to a CancelRequest.
    const reply = code === codes.cancel ? '' : errorResponse('28000', cleartext)
    if (this.unserved !== null) return closing(reply, this.unserved)
    if (code === codes.cancel)
      return closing('', {
        code: 'STARTTLS_REQUIRED',
        why: "a CancelRequest without TLS, as libpq's PQcancel sends it",
      })
    if (code >>> 16 === 3 || code === 2 << 16)
      return closing(reply, {
        code: 'STARTTLS_REQUIRED',
        why: 'a PostgreSQL client that begins without TLS (sslmode)',
      })
    return malformed(
      errorResponse('0A000', 'unsupported frontend protocol'),
      'no PostgreSQL packet that is known here',
    )
  }
}

const cleartext = 'connections without TLS are refused: use sslmode=verify-full (or require)'

/** ErrorResponse with severity FATAL, latin1. */
export function errorResponse(sqlState: string, message: string): string {
  const fields = `SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`
  const length = Buffer.alloc(4)
  length.writeUInt32BE(fields.length + 4)
  return `E${length.toString('latin1')}${fields}`
}
