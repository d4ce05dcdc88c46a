/**
 * What is wrong with the certificate that a client has shown, in words: whose it is, what is wrong, and what to do. The codes
 * are X.509's as OpenSSL names them, and both runtimes use them.
 */

import { X509Certificate } from 'node:crypto'
import { visible } from '../../base/visible.ts'

const noIssuer =
  'is signed by no CA in clients.ca: add its CA there; where an intermediate CA has signed it, the client must send that too'

/** By code: what follows `the client's certificate (...)`. */
const problems: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has expired: have it renewed',
  CERT_NOT_YET_VALID: 'is not valid yet: wait, or look at the clocks of the CA and of this host',
  UNABLE_TO_GET_ISSUER_CERT: noIssuer,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: noIssuer,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: noIssuer,
  SELF_SIGNED_CERT_IN_CHAIN: 'is signed by a root that is not in clients.ca: add that root there',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'is self-signed and not in clients.ca: have it issued by a CA that is, or add it there',
  CERT_SIGNATURE_FAILURE:
    "has a signature that is not its CA's: another CA of the same name has signed it, or it is forged; compare the keys of both",
  CERT_CHAIN_TOO_LONG: 'has too many CAs above it: have it issued by one nearer to the root',
  PATH_LENGTH_EXCEEDED: 'has more CAs above it than one of them allows (path length): have it issued by another',
  INVALID_CA: "is signed by a certificate that is no CA's: have it issued by a CA",
  INVALID_PURPOSE:
    'is not for clients: have one issued with the extended key usage clientAuth, by a CA whose own certificate allows that',
  CERT_REVOKED: 'is revoked: have a new one issued',
  CERT_UNTRUSTED: 'is signed by a CA that is not trusted for clients: add another to clients.ca',
  CERT_REJECTED: 'is signed by a CA that is marked as not for clients: have it issued by another',
  EE_KEY_TOO_SMALL: 'has a key that is too short: have one issued for a longer key',
  CA_KEY_TOO_SMALL: 'is signed by a CA with a key that is too short: have it issued by another',
  CA_MD_TOO_WEAK: 'is signed with a hash that is too weak: have it issued again with SHA-256',
  // Node's word for all that it has no code for (26.10).
  UNSPECIFIED:
    'does not verify, and most likely what has signed it is no CA, or may not sign certificates (key usage): have it issued by a CA in clients.ca',
}

const clientAuth = '1.3.6.1.5.5.7.3.2'

/** Codes behind which there may be a signer that is no CA, or is not for clients. */
const issuers: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'UNSPECIFIED',
])
export const mayBeIssuers = (code: string): boolean => issuers.has(code)

/**
 * @param code of the TLS library
 * @param leaf DER, or null where the runtime does not give it
 * @param fault of whoever has signed it, where that was found
 */
export function certificateProblem(
  code: string,
  leaf: Buffer | null,
  now: number,
  fault: string | null = null,
): string {
  const shown = leaf === null ? null : read(leaf)
  const whose = shown === null ? "the client's certificate" : `the client's certificate (${whoseOf(shown)})`
  if (code === 'CERT_HAS_EXPIRED' && shown !== null) {
    const ended = Date.parse(shown.validTo)
    return ended < now
      ? `${whose} has expired on ${new Date(ended).toISOString()}: have it renewed`
      : `${whose} has a CA above it that has expired: replace that CA in clients.ca, or have the client send its successor`
  }
  if (fault !== null) return `${whose} ${fault}`
  if (code === 'INVALID_PURPOSE' && shown?.keyUsage?.includes(clientAuth) === false)
    return `${whose} is not for clients: have one issued with the extended key usage clientAuth`
  // BoringSSL has one code for both.
  if (problems[code] === noIssuer && shown !== null && ownSignature(shown))
    return `${whose} ${problems['DEPTH_ZERO_SELF_SIGNED_CERT']}`
  const problem = Object.hasOwn(problems, code) ? problems[code] : undefined
  return `${whose} ${problem ?? `does not verify (${visible(code)}): have it issued again by a CA in clients.ca`}`
}

/** Whose a certificate is and who has issued it, for a sentence: one line, whatever stands in the names. */
export function describeLeaf(leaf: Buffer | undefined): string | null {
  const shown = leaf === undefined ? null : read(leaf)
  return shown === null ? null : whoseOf(shown)
}

const ownSignature = (shown: X509Certificate): boolean =>
  shown.subject === shown.issuer && shown.verify(shown.publicKey)

function read(leaf: Buffer): X509Certificate | null {
  try {
    return new X509Certificate(leaf)
  } catch {
    return null
  }
}

const whoseOf = ({ subject, issuer }: X509Certificate): string =>
  `${name(subject) || 'without a subject'}, issued by ${name(issuer) || 'an unnamed issuer'}`

const longestName = 200

/** Both runtimes give a line for each part, the widest first; the text of RFC 4514 begins with the narrowest. */
function name(text: string | undefined): string {
  const line = visible((text ?? '').split('\n').reverse().join(','))
  return line.length > longestName ? `${line.slice(0, longestName)}...` : line
}

/** Goes to terminals: no control characters, nor those that turn the direction of text around. */
