/**
 * What the runtimes' socket errors mean in our own terms. Bun and Node word the same fault differently; both spellings
 * of each are tested in test/gateway/handshake-failures.test.ts.
 */
import { type ErrorCode, ProxyError } from '../base/errors.ts'

type Coded = { code?: string; message?: string } | null | undefined

const reasonOf = (error: unknown): string => {
  const { code, message } = (error ?? {}) as { code?: string; message?: string }
  return code && message && !message.includes(code) ? `${code}: ${message}` : (message ?? code ?? 'no reason given')
}

/** A Unix socket has a path for an address, and no port. */
const placeOf = (address: string, port: number): string =>
  address.startsWith('/') ? `unix:${address}` : `${address}:${port}`

export function connectError(address: string, port: number, error: unknown): ProxyError {
  const reason = (error as Coded)?.code ?? ''
  const code: ErrorCode =
    reason === 'ETIMEDOUT'
      ? 'CONNECT_TIMEOUT'
      : reason === 'EMFILE' || reason === 'ENFILE'
        ? 'NO_DESCRIPTORS'
        : 'CONNECT_REFUSED'
  return new ProxyError(code, `connect to ${placeOf(address, port)}: ${reasonOf(error)}`, error)
}

/** A failed handshake toward a backend: the reason is the peer's certificate, or its TLS. */
export function clientHandshakeError(address: string, port: number, error: unknown): ProxyError {
  return new ProxyError(
    'UPSTREAM_TLS',
    `TLS handshake with ${placeOf(address, port)}: ${plainTlsReason(error)}`,
    error,
  )
}

/**
 * The message is what the library says, in its last and plainest part: proxy/seam/handshake-failure.ts makes a sentence of it.
 * @param verifyCode why the client's certificate does not verify, where that was it
 */
export function serverHandshakeError(error: unknown, verifyCode: string | null = null): ProxyError {
  if (verifyCode !== null) return new ProxyError('CLIENT_CERTIFICATE', verifyCode, error)
  if ((error as Coded)?.code === 'ECONNRESET')
    return resetError('the client closed the connection during the TLS handshake', error)
  const reason = plainTlsReason(error)
  const code: ErrorCode = /UNSUPPORTED_PROTOCOL|unsupported.protocol/i.test(reason)
    ? 'TLS_VERSION'
    : /did not return a certificate|certificate required|^[A-Z_]*(?:CERT|LEAF|ISSUER|SELF_SIGNED|CRL)[A-Z_]*(?::|$)/i.test(
          reason,
        )
      ? 'CLIENT_CERTIFICATE'
      : 'TLS_HANDSHAKE'
  return new ProxyError(code, reason, error)
}

export function resetError(message: string, cause?: unknown): ProxyError {
  return new ProxyError('CLIENT_GONE', message, cause)
}

/** An open connection's: TLS that the peer broke, or a connection that it reset. */
export function lostError(error: Error): ProxyError {
  // `SSL routines`, or of OpenSSL `Provider routines`, for a record of TLS 1.2 that does not decrypt.
  if (!/\berror:[0-9a-f]{8}:|SSL routines/i.test(error.message)) return resetError(error.message, error)
  return new ProxyError('TLS_BROKEN', `the peer broke the TLS stream: ${plainTlsReason(error)}`, error)
}

/**
 * `error:100000f0:SSL routines:OPENSSL_internal:NO_SHARED_CIPHER` reads better as its last part. OpenSSL has the address of a
 * thread before it, and a file and a line behind.
 */
function plainTlsReason(error: unknown): string {
  // Node appends advice for whoever wrote the program.
  const reason = reasonOf(error).replace(/; if the root CA is installed locally, try running Node\.js with.*$/s, '')
  const code = /\berror:[0-9a-f]{8}:[^:]*:[^:]*:([^:\n]+)/i.exec((error as Coded)?.message ?? '')
  if (code?.[1]) return code[1].toLowerCase().replaceAll('_', ' ').trim()
  return reason
}
