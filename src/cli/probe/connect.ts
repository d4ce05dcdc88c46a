/** A whole handshake with a server of any age, by the runtime's TLS library. */
import tls from 'node:tls'
import { messageOf } from '../../base/errors.ts'
import { answerMs, type Reached } from './reach.ts'

const silence = 'does not answer'
export const isSilence = (error: Error): boolean => error.message === silence

/** @param ca PEM to trust in place of the system's CAs */
export function connect(
  target: Reached,
  ca: string | null,
  options: tls.ConnectionOptions,
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const { address, port, serverName } = target
    const socket = tls.connect({
      host: address,
      port,
      ...(serverName === null ? {} : { servername: serverName }),
      ...(ca === null ? {} : { ca }),
      rejectUnauthorized: false,
      // The name is checked by us, so that another reason is not hidden behind it.
      checkServerIdentity: () => undefined,
      ...options,
    })
    socket.setTimeout(answerMs, () => socket.destroy(new Error(silence)))
    socket.once('secureConnect', () => resolve(socket))
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the server closed the connection')))
  })
}

/** From what everybody should speak to what only the library can. OpenSSL refuses weak servers by its level; BoringSSL has none. */
const ways: readonly tls.ConnectionOptions[] = [
  {},
  { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
  { minVersion: 'TLSv1', ciphers: 'ALL' },
]

/** The first way in which a handshake succeeds, or why none did. */
export async function findWay(
  target: Reached,
): Promise<{ readonly options: tls.ConnectionOptions } | { readonly why: string }> {
  let why = ''
  for (const options of ways) {
    try {
      const socket = await connect(target, null, options)
      socket.destroy()
      return { options }
    } catch (error) {
      why ||= shortly(error)
    }
  }
  return { why }
}

/** Messages of OpenSSL have a dozen fields between colons, of which one is for people; BoringSSL shouts. */
export function shortly(error: unknown): string {
  const { reason } = error as { reason?: string }
  const text = reason ?? /:SSL routines:[^:]*:([^:]+):/.exec(messageOf(error))?.[1] ?? messageOf(error)
  return /^[A-Z0-9_]+$/.test(text) ? text.toLowerCase().replaceAll('_', ' ') : text
}

/** Each is looked at with all that came before it, so a server may not send bytes one by one for ever. */
export const mostPieces = 1_000

export type Talked = { readonly text: string; readonly error: Error | null; readonly session: Buffer | null }

/** Asks for the head of `/`, which shows what comes behind a handshake: tickets, a refusal, the head of an answer. */
export async function talk(
  target: Reached,
  ca: string | null,
  options: tls.ConnectionOptions,
  enough: 'session' | 'head',
): Promise<Talked> {
  const socket = await connect(target, ca, { ...options, ALPNProtocols: ['http/1.1'] })
  if (socket.destroyed) return { text: '', error: socket.errored, session: null }
  return await new Promise(resolve => {
    let text = ''
    let pieces = 0
    let error: Error | null = null
    // In TLS 1.3 the ticket comes behind the handshake, at the latest with an answer; before that it is part of it.
    let session = socket.getProtocol() === 'TLSv1.3' ? null : (socket.getSession() ?? null)
    const look = () => {
      if (enough === 'session' ? session !== null : text.includes('\r\n\r\n') || text.length > 65_536)
        socket.destroy()
    }
    socket.on('session', bytes => {
      session = bytes
      look()
    })
    socket.on('error', each => {
      error = each
    })
    socket.on('data', chunk => {
      if (++pieces > mostPieces) socket.destroy()
      text += chunk.toString('latin1')
      look()
    })
    socket.on('end', () => socket.destroy())
    socket.on('close', () => resolve({ text, error, session }))
    // A GET of which only the head is read: servers that know no HEAD would keep us waiting, or leave the field out.
    socket.write(`GET / HTTP/1.1\r\nHost: ${target.serverName ?? target.host}\r\nConnection: close\r\n\r\n`)
    look()
  })
}
