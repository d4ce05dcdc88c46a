/**
 * What a whole handshake shows of a server: its chain, whether that verifies, resumption, ALPN, and HSTS. Where no handshake can
 * be made from here (ciphers that the TLS library lacks, a client certificate that is demanded), what can be seen without.
 */
import { X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import { testChainPem } from '../../tls/self-test-certificate.ts'
import { connect, findWay, isSilence, shortly, type Talked, talk } from './connect.ts'
import type { Flight } from './flight.ts'
import type { Reached } from './reach.ts'
import type { Accepted } from './scan.ts'

export type Inspected = {
  /** As the server sends it, the leaf first; empty where it could not be seen */
  readonly chain: readonly { readonly subject: string; readonly issuer: string; readonly notAfter: string }[]
  readonly names: string
  readonly key: string
  /** Days until the leaf ends, negative when it has; null where it could not be seen */
  readonly daysLeft: number | null
  /** Why it does not verify, name included; null where it does */
  readonly problem: string | null
  readonly alpn: readonly string[]
  /** Null: could not be looked at */
  readonly resumption: { readonly tls12: boolean | null; readonly tls13: boolean | null }
  /** Value of Strict-Transport-Security, or null */
  readonly hsts: string | null
  /** Whether clients are to show a certificate; null where none is seen to be asked for */
  readonly clientCertificate: 'asked for' | 'required' | null
  /** Why no whole handshake could be made from here; null where it could */
  readonly handshake: string | null
}

/** @param ca PEM to trust in place of the system's CAs */
export async function inspect(
  target: Reached,
  ca: string | null,
  accepted: readonly Accepted[],
  flight: Flight | null,
): Promise<Inspected> {
  const way = await findWay(target)
  const options = 'options' in way ? way.options : null
  const handshake = 'why' in way ? way.why : null
  const talked = options === null ? null : await talk(target, ca, options, 'head').catch(noTalk)
  const clientCertificate = askedOf(flight, talked, handshake)
  const shown = options === null ? (flight?.chain ?? []) : await chainOf(target, options)
  const chain = shown.map(der => new X509Certificate(der))
  const leaf = chain[0]
  const { asymmetricKeyType, asymmetricKeyDetails } = leaf?.publicKey ?? {}
  const size = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength ?? ''
  const alpn: string[] = []
  for (const protocol of ['h2', 'http/1.1'])
    if (options !== null && (await speaks(target, { ...options, ALPNProtocols: [protocol] }))) alpn.push(protocol)
  const blind = options === null || clientCertificate === 'required'
  const resumption = async (version: 'TLSv1.2' | 'TLSv1.3') => {
    if (!accepted.some(each => each.version === version.replace('v', ' '))) return false
    return blind ? null : await resumes(target, ca, { ...options, minVersion: version, maxVersion: version })
  }
  return {
    chain: chain.map(({ subject, issuer, validTo }) => ({
      subject: oneLine(subject),
      issuer: oneLine(issuer),
      notAfter: new Date(validTo).toISOString(),
    })),
    names: leaf?.subjectAltName ?? '',
    key: `${asymmetricKeyType ?? ''} ${size}`.trim(),
    daysLeft: leaf === undefined ? null : Math.floor((Date.parse(leaf.validTo) - Date.now()) / 86_400_000),
    problem:
      options === null
        ? `could not be looked at: ${whyNot(clientCertificate, handshake)}`
        : await problemOf(target, ca, options),
    alpn,
    resumption: { tls12: await resumption('TLSv1.2'), tls13: await resumption('TLSv1.3') },
    hsts: /^strict-transport-security:(.*)$/im.exec(talked?.text ?? '')?.[1]?.trim() ?? null,
    clientCertificate,
    handshake,
  }
}

/** Why something could not be looked at; null where everything could. */
export const whyNot = (
  clientCertificate: Inspected['clientCertificate'],
  handshake: string | null,
): string | null =>
  clientCertificate === 'required'
    ? 'a client certificate is required'
    : handshake === null
      ? null
      : `no handshake (${handshake})`

const oneLine = (name: string | undefined): string => (name ?? '').split('\n').join(', ')
const noTalk = (error: Error): Talked => ({ text: '', error, session: null })

/** In TLS 1.3 the demand is encrypted, and seen by the alert behind a handshake without one (RFC 8446 section 4.4.2.4). */
function askedOf(
  flight: Flight | null,
  talked: Talked | null,
  handshake: string | null,
): Inspected['clientCertificate'] {
  const asked = flight?.asksForCertificate === true
  const refusals = [
    handshake ?? '',
    talked?.error ? `${(talked.error as { code?: string }).code} ${shortly(talked.error)}` : '',
  ]
  if (refusals.some(text => /certificate.?required/i.test(text))) return 'required'
  if (!asked) return null
  // A server may answer nothing for other reasons; one that breaks off has refused.
  const brokenOff = talked !== null && talked.text === '' && talked.error !== null && !isSilence(talked.error)
  return handshake !== null || brokenOff ? 'required' : 'asked for'
}

/**
 * The certificates that the server sends. The library adds a root that it trusts to them, so that it is asked with none that
 * could have issued anything.
 */
async function chainOf(target: Reached, options: tls.ConnectionOptions): Promise<Buffer[]> {
  const socket = await connect(target, testChainPem, options)
  const found: Buffer[] = []
  for (let at = socket.getPeerCertificate(true); at?.raw !== undefined; at = at.issuerCertificate) {
    if (found.some(known => known.equals(at.raw))) break
    found.push(at.raw)
  }
  socket.destroy()
  return found
}

async function problemOf(
  target: Reached,
  ca: string | null,
  options: tls.ConnectionOptions,
): Promise<string | null> {
  const socket = await connect(target, ca, options)
  const { authorized, authorizationError } = socket
  const mismatch = tls.checkServerIdentity(target.serverName ?? target.host, socket.getPeerCertificate())
  socket.destroy()
  return authorized ? (mismatch?.message ?? null) : String(authorizationError)
}

async function speaks(target: Reached, options: tls.ConnectionOptions): Promise<boolean> {
  const socket = await connect(target, null, options).catch(() => null)
  socket?.destroy()
  return socket !== null && socket.alpnProtocol === (options.ALPNProtocols as string[])[0]
}

async function resumes(target: Reached, ca: string | null, options: tls.ConnectionOptions): Promise<boolean> {
  try {
    const { session } = await talk(target, ca, options, 'session')
    if (session === null) return false
    const again = await connect(target, ca, { ...options, ALPNProtocols: ['http/1.1'], session })
    const reused = again.isSessionReused()
    again.destroy()
    return reused
  } catch {
    return false
  }
}
