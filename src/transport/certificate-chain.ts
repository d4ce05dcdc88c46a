/** The certificates that a peer has shown, from the nested form in which both runtimes give them. */
import { X509Certificate } from 'node:crypto'

type Nested = { readonly raw?: Buffer; readonly issuerCertificate?: Nested }

/** A root is its own issuer, and would never end. */
const longest = 16

/** Bun begins with the leaf twice: once by itself, and once as the first of the chain. */
export function certificateChain(leaf: Nested | null | undefined): Buffer[] {
  const chain: Buffer[] = []
  let at = leaf
  for (let steps = 0; at?.raw !== undefined && steps <= longest; steps++, at = at.issuerCertificate) {
    const { raw } = at
    if (!chain.some(known => known.equals(raw))) chain.push(raw)
  }
  return chain
}

/**
 * The chain in the order of RFC 9440 section 2.3: each certificate is signed by the one behind it. A client may send others, in any
 * order, and leave out what the gateway has; so issuers come from what was sent, and then from the trusted CAs. The root
 * is left out wherever it came from: who is to verify the chain has it, and one that came with the chain proves nothing.
 *
 * Signatures are few: who gets here has shown a chain that verifies, and its paths were counted (certs/x509/client-path.ts).
 *
 * @param trusted PEM
 * @param issuers DER of the Names above the leaf: of hundreds of trusted CAs, no others are read
 */
export function issuedChain(sent: readonly Buffer[], trusted: string, issuers: readonly Buffer[]): Buffer[] {
  const [leaf, ...others] = sent
  if (leaf === undefined) return []
  const chain = [leaf]
  let at = new X509Certificate(leaf)
  let candidates: X509Certificate[] | null = null
  while (chain.length < longest && !signs(at, at)) {
    candidates ??= [...others.map(der => new X509Certificate(der)), ...certificatesIn(trusted, issuers)]
    const issuer = candidates.find(each => signs(each, at))
    if (issuer === undefined || signs(issuer, issuer)) break
    if (chain.some(known => known.equals(issuer.raw))) break
    chain.push(issuer.raw)
    at = issuer
  }
  return chain
}

const signs = (issuer: X509Certificate, issued: X509Certificate): boolean =>
  issued.checkIssued(issuer) && issued.verify(issuer.publicKey)

const certificatesIn = (pem: string, names: readonly Buffer[]): X509Certificate[] =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)]
    .map(([, text = '']) => Buffer.from(text, 'base64'))
    .filter(der => names.some(name => der.includes(name)))
    .map(der => new X509Certificate(der))
