/**
 * What is wrong with a chain that can be read and belongs to its key: times, names, uses, signatures that nobody trusts any
 * more, and intermediates that are not there. All of it is a warning, because a gateway that does not start helps no one;
 * only what was signed with MD5 is refused, since anybody can forge that.
 */
import type { X509Certificate } from 'node:crypto'
import { UsageError } from '../../base/errors.ts'
import { dateText } from '../x509/expiry.ts'
import { nameText } from '../x509/name-text.ts'
import { brokenHashes } from '../x509/weakness.ts'
import type { CertificateFields } from '../x509/x509-read.ts'
import type { IsRoot } from './roots.ts'

export type Parsed = { readonly x509: X509Certificate; readonly fields: CertificateFields }

export type CheckOptions = {
  /** Milliseconds since 1970, for the warnings about validity; the present when left out */
  readonly now?: number
  /** Which extended key usage is asked for; `server` when left out */
  readonly purpose?: 'server' | 'client'
  /** Whether clients know this root, by its subject; where left out, nobody looks for missing intermediates */
  readonly isRoot?: IsRoot
}

/** A self-signed certificate's own signature proves nothing, and no client looks at it. */
const isSelfSigned = ({ subjectDer, issuerDer }: CertificateFields): boolean => subjectDer.equals(issuerDer)

const brokenHashOf = ({ fields }: Parsed, index: number): string | null =>
  index > 0 && isSelfSigned(fields) ? null : (brokenHashes[fields.signatureAlgorithm] ?? null)

/** Throws UsageError. */
export function checkSignatures(chain: readonly Parsed[], file: string): void {
  const index = chain.findIndex((one, at) => (brokenHashOf(one, at) ?? 'SHA-1') !== 'SHA-1')
  if (index < 0) return
  throw new UsageError(
    `${file}: certificate ${index + 1} (${subjectOf(chain[index] as Parsed)}) is signed with ${brokenHashOf(chain[index] as Parsed, index)}, ` +
      'which anyone can forge; have it reissued',
  )
}

export function warningsOf(chain: readonly Parsed[], file: string, options: CheckOptions): string[] {
  const { now = Date.now(), purpose = 'server', isRoot } = options
  const warnings: string[] = []
  for (const [index, one] of chain.entries()) {
    const { fields, x509 } = one
    const which = `${file}: certificate ${index + 1} (${nameText(fields.subjectDer)})`
    if (now > fields.notAfter) warnings.push(`${which} expired on ${dateText(fields.notAfter)}`)
    if (now < fields.notBefore) warnings.push(`${which} is not valid before ${dateText(fields.notBefore)}`)
    if (brokenHashOf(one, index) === 'SHA-1') warnings.push(`${which} is signed with SHA-1, which clients refuse`)
    if (index > 0) {
      const bits = fields.keyAlgorithm === rsaKey ? x509.publicKey.asymmetricKeyDetails?.modulusLength : undefined
      if (bits !== undefined && bits < 2048)
        warnings.push(`${which} has an RSA key of ${bits} bits, which clients refuse`)
    }
  }
  const [{ fields: leaf }] = chain as readonly [Parsed]
  if (purpose === 'server' && leaf.names.length === 0) {
    warnings.push(`${file}: the leaf has no subjectAltName, so clients will not accept it for any host`)
  }
  const wanted = purpose === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2'
  const uses = leaf.extendedKeyUsage
  if (uses && !uses.includes(wanted) && !uses.includes('2.5.29.37.0')) {
    warnings.push(`${file}: the leaf's extended key usage does not allow ${purpose}Auth`)
  }
  const lacking = isRoot === undefined ? null : missingIssuer(chain, isRoot)
  if (lacking !== null) warnings.push(`${file}: ${lacking}`)
  return warnings
}

const rsaKey = '1.2.840.113549.1.1.1'

/**
 * Whether a chain ends too soon, in words; null: it does not, as far as anybody can tell without asking the CA. An end whose
 * issuer is a root is whole, and so is one with a certificate that is itself a root under another name's signature. A
 * private CA is known to its clients only, and mostly names no place where its certificate is: then nothing is said.
 */
export function missingIssuer(chain: readonly Parsed[], isRoot: IsRoot): string | null {
  const { fields } = chain.at(-1) as Parsed
  const [url] = fields.issuerUrls
  if (url === undefined || isSelfSigned(fields) || isRoot(fields.issuerDer)) return null
  if (chain.some(each => isRoot(each.fields.subjectDer))) return null
  return (
    `the chain lacks ${nameText(fields.issuerDer)}, which issued its last certificate, and is no root that this machine ` +
    `knows; clients that do not know it either will refuse. Its CA has it at ${url}: append it, as PEM`
  )
}

export function subjectOf({ fields }: Parsed): string {
  return nameText(fields.subjectDer) || fields.names[0] || 'a certificate without a name'
}
