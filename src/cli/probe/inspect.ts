/** What a whole handshake shows of a server: its chain, whether that verifies, resumption, ALPN, and HSTS. */
import { X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import type { Target } from './scan.ts'

export type Inspected = {
  /** Subjects, the leaf first */
  readonly chain: readonly { readonly subject: string; readonly issuer: string; readonly notAfter: string }[]
  readonly names: string
  readonly key: string
  /** Days until the leaf ends, negative when it has */
  readonly daysLeft: number
  /** Why it does not verify, name included; null where it does */
  readonly problem: string | null
  readonly alpn: readonly string[]
  readonly resumption: { readonly tls12: boolean; readonly tls13: boolean }
  /** Value of Strict-Transport-Security, or null */
  readonly hsts: string | null
}

const answerMs = 5_000

/** @param ca PEM to trust in place of the system's CAs */
export async function inspect(target: Target, ca: string | null): Promise<Inspected> {
  const first = await connect(target, ca, {})
  const certificates: X509Certificate[] = []
  for (let at = first.socket.getPeerCertificate(true); at?.raw !== undefined; at = at.issuerCertificate) {
    const certificate = new X509Certificate(at.raw)
    if (certificates.some(known => known.fingerprint256 === certificate.fingerprint256)) break
    certificates.push(certificate)
  }
  const leaf = certificates[0]
  const problem = problemOf(first.socket, target)
  first.socket.destroy()
  if (leaf === undefined) throw new Error('the server showed no certificate')
  const alpn: string[] = []
  for (const protocol of ['h2', 'http/1.1']) if (await speaks(target, ca, protocol)) alpn.push(protocol)
  const { asymmetricKeyType, asymmetricKeyDetails } = leaf.publicKey
  const size = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength ?? ''
  return {
    chain: certificates.map(({ subject, issuer, validTo }) => ({
      subject: oneLine(subject),
      issuer: oneLine(issuer),
      notAfter: new Date(validTo).toISOString(),
    })),
    names: leaf.subjectAltName ?? '',
    key: `${asymmetricKeyType} ${size}`.trim(),
    daysLeft: Math.floor((Date.parse(leaf.validTo) - Date.now()) / 86_400_000),
    problem,
    alpn,
    resumption: {
      tls12: await resumes(target, ca, 'TLSv1.2'),
      tls13: await resumes(target, ca, 'TLSv1.3'),
    },
    hsts: await hstsOf(target, ca),
  }
}

const oneLine = (name: string | undefined): string => (name ?? '').split('\n').join(', ')

function problemOf(socket: tls.TLSSocket, target: Target): string | null {
  const name = target.serverName ?? target.host
  const mismatch = tls.checkServerIdentity(name, socket.getPeerCertificate())
  if (!socket.authorized) return String(socket.authorizationError)
  return mismatch?.message ?? null
}

type Connected = { readonly socket: tls.TLSSocket }

function connect(target: Target, ca: string | null, options: tls.ConnectionOptions): Promise<Connected> {
  return new Promise((resolve, reject) => {
    const { host, port, serverName } = target
    const socket = tls.connect({
      host,
      port,
      ...(serverName === null ? {} : { servername: serverName }),
      ...(ca === null ? {} : { ca }),
      rejectUnauthorized: false,
      // The name is checked by us, so that another reason is not hidden behind it.
      checkServerIdentity: () => undefined,
      ...options,
    })
    socket.setTimeout(answerMs, () => socket.destroy(new Error(`${host}:${port} does not answer`)))
    socket.once('secureConnect', () => resolve({ socket }))
    socket.once('error', reject)
  })
}

async function speaks(target: Target, ca: string | null, protocol: string): Promise<boolean> {
  const found = await connect(target, ca, { ALPNProtocols: [protocol] }).catch(() => null)
  found?.socket.destroy()
  return found?.socket.alpnProtocol === protocol
}

async function resumes(target: Target, ca: string | null, version: 'TLSv1.2' | 'TLSv1.3'): Promise<boolean> {
  const options = { minVersion: version, maxVersion: version, ALPNProtocols: ['http/1.1'] } as const
  try {
    const { socket } = await connect(target, ca, options)
    const session = await new Promise<Buffer | null>(resolve => {
      socket.once('session', resolve)
      socket.once('close', () => resolve(null))
      // In TLS 1.3 the ticket comes behind the handshake, at the latest with an answer.
      socket.write(`HEAD / HTTP/1.1\r\nHost: ${target.serverName ?? target.host}\r\nConnection: close\r\n\r\n`)
      socket.resume()
    })
    socket.destroy()
    if (session === null) return false
    const again = await connect(target, ca, { ...options, session })
    const reused = again.socket.isSessionReused()
    again.socket.destroy()
    return reused
  } catch {
    return false
  }
}

async function hstsOf(target: Target, ca: string | null): Promise<string | null> {
  try {
    const { socket } = await connect(target, ca, { ALPNProtocols: ['http/1.1'] })
    socket.write(`HEAD / HTTP/1.1\r\nHost: ${target.serverName ?? target.host}\r\nConnection: close\r\n\r\n`)
    let text = ''
    for await (const chunk of socket) {
      text += (chunk as Buffer).toString('latin1')
      if (text.includes('\r\n\r\n') || text.length > 65_536) break
    }
    return /^strict-transport-security: *(.*?) *$/im.exec(text)?.[1] ?? null
  } catch {
    return null
  }
}
