/**
 * Client certificates in the data plane: who a connection's client is, decided once behind its handshake; whether a
 * request may pass, decided for each; and how its backend is told (RFC 9440, and the older forms).
 */
import { messageOf, ProxyError } from '../../base/errors.ts'
import { toPem } from '../../base/pem.ts'
import type { ClientIdentity, ClientTerms } from '../../model/client-identity.ts'
import type { Connection } from '../../model/connection.ts'
import type { Route } from '../../model/route.ts'
import type { Site } from '../../model/site.ts'
import { issuedChain } from '../../transport/certificate-chain.ts'
import { certificateProblem, describeLeaf, mayBeIssuers } from './certificate-problem.ts'
import { withoutCertificate } from './handshake-failure.ts'

const refused = (why: string): ProxyError => new ProxyError('CLIENT_CERTIFICATE', why)

/**
 * Takes what the client has shown. The TLS library has been told to verify it; that it did is checked here again, on
 * resumed sessions too, since libraries have been seen to let one through.
 * @returns why the connection may not go on, or null
 */
export function identify(connection: Connection, terms: ClientTerms | null, now: number): ProxyError | null {
  if (terms === null) return null
  const shown = connection.link.peerCertificate
  if (shown === null)
    return terms.mode === 'require' ? refused(withoutCertificate(connection.site?.name ?? 'the site')) : null
  if (shown.problem !== null) {
    const fault = mayBeIssuers(shown.problem) ? faultOf(terms, shown.chain) : null
    return refused(certificateProblem(shown.problem, shown.chain[0] ?? null, now, fault))
  }
  try {
    const identity = terms.read(shown.chain, connection.link.tls?.resumed === true)
    connection.identity = terms.forward.includes('client-cert') ? withIssuedChain(identity, terms) : identity
  } catch (error) {
    return refused(`the certificate of the client cannot be read: ${messageOf(error)}`)
  }
  const why = terms.refusal(connection.identity, now)
  if (why === null) return null
  const whose = describeLeaf(shown.chain[0])
  return refused(whose === null ? why : `${why} (${whose})`)
}

function faultOf(terms: ClientTerms, chain: readonly Buffer[]): string | null {
  try {
    return terms.issuerFault(chain)
  } catch {
    // What cannot be read is refused for what the library says of it.
    return null
  }
}

function withIssuedChain(identity: ClientIdentity, { caPem }: ClientTerms): ClientIdentity {
  const names = identity.path.steps.map(step => step.issuerDer)
  return { ...identity, chain: issuedChain(identity.chain, caPem, names) }
}

/** Asked for every request: a certificate may have ended or been revoked since, and cleartext never had one. */
export function clientProblem(connection: Connection, site: Site, route: Route | null): ProxyError | null {
  const { clients } = site
  const required = clients?.mode === 'require' || route?.requireClient === true
  const { identity } = connection
  if (identity === null) return required ? refused(`${site.name} requires a client certificate`) : null
  const why = clients?.refusal(identity, Date.now()) ?? null
  return why === null ? null : refused(why)
}

/** Together; a chain that makes them longer is left out, and then the leaf. */
const longestFields = 16_384

/** Field lines for the backend, in the forms that the site asks for. */
export function identityLines(identity: ClientIdentity | null, terms: ClientTerms | null): string {
  if (identity === null || terms === null || terms.forward.length === 0) return ''
  const whole = lines(identity, terms, identity.chain)
  if (whole.length <= longestFields) return whole
  const short = lines(identity, terms, identity.chain.slice(0, 1))
  return short.length <= longestFields ? short : lines(identity, terms, [])
}

function lines(identity: ClientIdentity, terms: ClientTerms, chain: readonly Buffer[]): string {
  const [leaf, ...others] = chain
  let text = ''
  for (const form of terms.forward) {
    if (form === 'x-client-dn') text += `x-client-dn: ${printable(identity.subject)}\r\n`
    else if (form === 'xfcc') text += `x-forwarded-client-cert: ${xfcc(identity, leaf)}\r\n`
    else if (leaf === undefined) continue
    else if (form === 'x-client-cert')
      text += `x-client-cert: ${encodeURIComponent(toPem('CERTIFICATE', leaf))}\r\n`
    else {
      text += `client-cert: ${bytes(leaf)}\r\n`
      if (others.length > 0) text += `client-cert-chain: ${others.map(bytes).join(', ')}\r\n`
    }
  }
  return text
}

/** A byte sequence of RFC 8941 section 3.3.5. */
const bytes = (der: Buffer): string => `:${der.toString('base64')}:`

/** As Envoy writes it: Hash, Cert, Subject, then the names. */
function xfcc(identity: ClientIdentity, leaf: Buffer | undefined): string {
  const parts = [`Hash=${identity.fingerprint}`]
  if (leaf !== undefined) parts.push(`Cert="${encodeURIComponent(toPem('CERTIFICATE', leaf))}"`)
  parts.push(`Subject="${quoted(identity.subject)}"`)
  for (const uri of identity.uris) parts.push(`URI=${safe(uri)}`)
  for (const name of identity.dnsNames) parts.push(`DNS=${safe(name)}`)
  return parts.join(';')
}

const printable = (text: string): string =>
  text.toWellFormed().replace(/[^\x20-\x7e]/gu, char => encodeURIComponent(char))
const quoted = (text: string): string => printable(text).replace(/["\\]/g, '\\$&')
/** Separators inside of a name would begin another element. */
const safe = (text: string): string => printable(text).replace(/[;,="\s]/g, char => encodeURIComponent(char))
