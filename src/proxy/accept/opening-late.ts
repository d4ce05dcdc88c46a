/** What a connection that was not opened within timeouts.handshake is told, and who was late. */
import { ProxyError } from '../../base/errors.ts'

/** By the stages of an Inbound */
const awaited = ['PROXY header', 'first message', 'TLS handshake']

const within = (handshakeMs: number) => `within timeouts.handshake (${handshakeMs} ms)`

export const openingLate = (stage: number, handshakeMs: number): ProxyError =>
  new ProxyError('HANDSHAKE_TIMEOUT', `no whole ${awaited[stage]} ${within(handshakeMs)}`)

/** The client has done its part: the certificate was still being ordered or looked up. */
export const certificateLate = (serverName: string | null, handshakeMs: number): ProxyError =>
  new ProxyError(
    'TLS_NO_CERTIFICATE',
    `no certificate for ${serverName ?? 'the default site'} ${within(handshakeMs)}`,
  )

export const startTlsLate = (protocol: string, handshakeMs: number): ProxyError =>
  new ProxyError('HANDSHAKE_TIMEOUT', `the ${protocol} client did not ask for TLS ${within(handshakeMs)}`)
