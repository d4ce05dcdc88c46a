/**
 * The ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), read strictly and in one pass. What is accepted
 * here is acted upon before the TLS stack sees it, so anything that two parsers could read differently is refused:
 * lengths that do not add up, an extension that comes twice, bytes left over.
 */
import { type ExtensionFields, readExtensions } from './client-hello-extensions.ts'
import { type Malformed, malformed } from './tls-alert.ts'

/** Lists are in wire order and keep GREASE values, `versions` alone excepted. Nothing refers to the bytes it was read from. */
export type ClientHello = ExtensionFields & {
  readonly legacyVersion: number
  readonly sessionIdLength: number
  readonly cipherSuites: readonly number[]
}

/** From the TLS 1.2 field, a version is everything up to it (RFC 5246 appendix E.1), and never more than 1.2 (RFC 8446 section 4.2.1). */
function versionsUpTo(legacyVersion: number): number[] {
  const versions: number[] = []
  for (let version = Math.min(legacyVersion, 0x0303); version >= 0x0301; version--) versions.push(version)
  return versions
}

/** @param message one whole handshake message, its four-byte header included and already checked */
export function parseClientHello(message: Uint8Array): ClientHello | Malformed {
  const end = message.length
  // Header 4, version 2, random 32, then the session id's length.
  if (end < 39) return malformed('decode_error', 'the ClientHello ends before its session id')
  const legacyVersion = (message[4] << 8) | message[5]
  if (legacyVersion < 0x0301) return malformed('protocol_version', 'the ClientHello is older than TLS 1.0')
  const sessionIdLength = message[38]
  if (sessionIdLength > 32)
    return malformed('decode_error', `a session id of ${sessionIdLength} bytes, more than 32`)

  let at = 39 + sessionIdLength
  if (at + 2 > end) return malformed('decode_error', 'the ClientHello ends before its cipher suites')
  const suitesLength = (message[at] << 8) | message[at + 1]
  at += 2
  if (suitesLength === 0 || suitesLength % 2 !== 0)
    return malformed('decode_error', `${suitesLength} bytes of cipher suites`)
  const suitesEnd = at + suitesLength
  if (suitesEnd + 1 > end) return malformed('decode_error', 'the cipher suites are longer than the ClientHello')
  const cipherSuites: number[] = []
  for (; at < suitesEnd; at += 2) cipherSuites.push((message[at] << 8) | message[at + 1])

  const methods = message[at++]
  if (methods === 0) return malformed('decode_error', 'no compression method')
  if (at + methods > end)
    return malformed('decode_error', 'the compression methods are longer than the ClientHello')
  let nullCompression = false
  for (const methodsEnd = at + methods; at < methodsEnd; at++) if (message[at] === 0) nullCompression = true
  if (!nullCompression) return malformed('illegal_parameter', 'compression methods without null')

  const fields = readExtensions(message, at, versionsUpTo(legacyVersion))
  if ('alert' in fields) return fields
  if (methods > 1 && fields.versions.includes(0x0304)) {
    return malformed('illegal_parameter', 'compression offered together with TLS 1.3 (RFC 8446 section 4.1.2)')
  }
  return Object.assign(fields, { legacyVersion, sessionIdLength, cipherSuites })
}
