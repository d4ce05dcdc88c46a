/**
 * The cleartext part of a connection that changes to TLS on request (STARTTLS): what the client may say, and what it is
 * answered. A dialog is fed with bytes and answers with text; it opens nothing, and passes nothing on. Whatever it has read ends
 * with it: the protocol begins anew inside TLS, with a backend that saw none of it.
 *
 * Invariant: the bytes that ask for TLS are the last of their chunk. What comes with them was sent ahead of the handshake, so that
 * anybody on the path could have put it there (CVE-2011-0411, CVE-2021-23214), and the client is refused.
 */
import type { ErrorCode } from '../../base/errors.ts'

export type Said = {
  /** To write, latin1; may be empty */
  readonly reply: string
  /** `tls`: the next byte of the client begins its ClientHello */
  readonly next: 'more' | 'tls' | 'close'
  /** Why it is closed; null where the client has said goodbye */
  readonly refused: Refused | null
}

export type Refused = { readonly code: ErrorCode; readonly why: string }

export interface StartTlsDialog {
  /** What the server says first; empty where the client does */
  readonly greeting: string
  push(chunk: Buffer): Said
  /** The text that closes the connection in the words of the protocol. */
  goodbye(why: string): string
  /** The client has ended its side. @returns what is wrong with that */
  ended(): Refused | null
  /** Nothing is kept any more. */
  release(): void
}

export const more = (reply = ''): Said => ({ reply, next: 'more', refused: null })
export const startTls = (reply: string): Said => ({ reply, next: 'tls', refused: null })
export const closing = (reply: string, refused: Refused | null = null): Said => ({ reply, next: 'close', refused })

export const malformed = (reply: string, why: string): Said => closing(reply, { code: 'STARTTLS_MALFORMED', why })
export const pipelined = (reply: string, command: string, bytes: number): Said =>
  closing(reply, {
    code: 'STARTTLS_PIPELINED',
    why: `${bytes} bytes came in cleartext together with ${command}, ahead of the TLS handshake`,
  })
