/**
 * The way from a peer's certificate up to the roots that are trusted, for revocation lists to be compared with and for weak
 * certificates to be found. The TLS library has found one and does not say which: this finds all that what was sent and
 * the trusted CAs allow.
 *
 * Invariant: a certificate is on the way only when its key has verifiably signed the one below. A name alone would let a
 * client put a certificate of its own making in the place of a CA that was revoked.
 */
import type { X509Certificate } from 'node:crypto'
import type { ClientPath, ClientPathStep } from '../../model/client-identity.ts'
import { keyDigest } from './crl.ts'
import { certificatePoints } from './crl-scope.ts'
import { children, expectTag, read, readOid, tags } from './der.ts'
import { nameText } from './name-text.ts'
import { weakKey, weakSignature } from './weakness.ts'
import { readCertificate } from './x509-read.ts'

/** Chains are at most four long in practice. Each signature costs 0.1 ms, and who has a CA's key can make many that fit. */
const mostSteps = 16
const mostSignatures = 64
/** Characters of a name in a sentence */
const longestName = 200

type FoundPath = {
  readonly path: ClientPath
  /** Who has issued the leaf; null where that is not known */
  readonly issuer: X509Certificate | null
  /** Why no way up is made of strong certificates alone: as in `it has an RSA key of 1024 bits`; null where one is */
  readonly weakness: string | null
  /** A trusted CA was reached, also one that is no root */
  readonly anchored: boolean
}

/** @param sent what the peer sent with its leaf, which proves nothing by itself */
export type FindPath = (leaf: X509Certificate, sent: readonly X509Certificate[]) => FoundPath

/**
 * What finds throws DerError on what is not X.509, and Error where there is more to verify than any honest client sends.
 *
 * @param cas the CAs that are trusted: there may be hundreds, of which each handshake needs two
 */
export function pathsTo(cas: readonly X509Certificate[]): FindPath {
  const trusted = new Map(cas.map(ca => [ca.fingerprint256, ca]))
  const digests = new Map<X509Certificate, string>()
  /** Of the trusted ones each is made once, and only for those that somebody needs. */
  const digestOf = (ca: X509Certificate): string => {
    const known = digests.get(ca)
    if (known !== undefined) return known
    const digest = keyDigest(ca)
    if (trusted.get(ca.fingerprint256) === ca) digests.set(ca, digest)
    return digest
  }
  return (leaf, sent) => {
    const leafPrint = leaf.fingerprint256
    // What the client sent comes first, each certificate once.
    const pool = new Map(sent.map(each => [each.fingerprint256, each]))
    for (const [print, ca] of trusted) if (!pool.has(print)) pool.set(print, ca)
    let signatures = 0
    const issued = (by: X509Certificate, below: X509Certificate): boolean => {
      if (!below.checkIssued(by)) return false
      if (++signatures > mostSignatures)
        throw new Error('it comes with too many certificates that fit on each other')
      return signedBy(below, by)
    }
    const steps: ClientPathStep[] = []
    let complete = false
    let issuer: X509Certificate | null = null
    const todo = new Map([[leafPrint, leaf]])
    const found = new Map<string, Found>()
    // What is added on the way is visited too.
    for (const [print, below] of todo) {
      if (trusted.has(print) && issued(below, below)) {
        complete = true
        if (print !== leafPrint) {
          found.set(print, { certificate: below, above: [] })
          continue
        }
      }
      if (steps.length === mostSteps) throw new Error('its chain is too long')
      const above = [...pool].filter(([other, ca]) => other !== print && issued(ca, below))
      if (print === leafPrint) issuer = above[0]?.[1] ?? null
      found.set(print, { certificate: below, above: above.map(([other]) => other) })
      const issuerKeys = above.map(([, ca]) => digestOf(ca))
      steps.push({ ...stepOf(below), issuerKeys })
      for (const [other, ca] of above) todo.set(other, ca)
    }
    const anchored = [...found.keys()].some(print => trusted.has(print))
    return { path: { steps, complete }, issuer, weakness: weakestOf(found, leafPrint, trusted, anchored), anchored }
  }
}

type Found = { readonly certificate: X509Certificate; readonly above: readonly string[] }

/**
 * A way counts only when each certificate on it is strong. A trusted CA's own signature proves nothing to anybody, and is not
 * looked at; its key is. Where no trusted CA was reached (a resumed session), what is known must be strong.
 *
 * @returns the first weakness above the leaf, or its own; null where a way without any was found
 */
function weakestOf(
  found: ReadonlyMap<string, Found>,
  leaf: string,
  trusted: ReadonlyMap<string, X509Certificate>,
  anchored: boolean,
): string | null {
  const seen = new Set<string>()
  let first: string | null = null
  const climb = (print: string): boolean => {
    const at = found.get(print)
    if (at === undefined || seen.has(print)) return false
    seen.add(print)
    const { certificate, above } = at
    const isAnchor = trusted.has(print)
    const weak = weakKey(certificate) ?? (isAnchor ? null : weakSignature(certificate))
    if (weak !== null) {
      first ??= print === leaf ? `it ${weak}` : `the CA above it (${nameOf(certificate)}) ${weak}`
      return false
    }
    if (isAnchor) return true
    // A certificate that is no CA's cannot stand for a weak one of the same name and key.
    const issuers = above.filter(other => found.has(other) && isIssuer(found.get(other) as Found, trusted))
    if (issuers.length === 0) return !anchored
    return issuers.some(climb)
  }
  return climb(leaf) ? null : (first ?? 'no way from it to a trusted CA can be followed')
}

const isIssuer = ({ certificate }: Found, trusted: ReadonlyMap<string, X509Certificate>): boolean =>
  trusted.has(certificate.fingerprint256) || readCertificate(certificate.raw).isCa

function nameOf(certificate: X509Certificate): string {
  const name = nameText(readCertificate(certificate.raw).subjectDer)
  return name.length > longestName ? `${name.slice(0, longestName)}...` : name || 'without a name'
}

function signedBy(below: X509Certificate, by: X509Certificate): boolean {
  try {
    return below.verify(by.publicKey)
  } catch {
    // A key of another kind than the signature's.
    return false
  }
}

function stepOf(certificate: X509Certificate): Omit<ClientPathStep, 'issuerKeys'> {
  const { issuerDer, serial, isCa } = readCertificate(certificate.raw)
  return { issuerDer, serial, isCa, points: readPoints(certificate.raw) }
}

function readPoints(bytes: Uint8Array): string[] {
  const fields = children(expectTag(children(read(bytes, tags.sequence))[0], tags.sequence))
  const extensions = fields.find(value => value.tag === 0xa3)
  if (extensions === undefined) return []
  for (const extension of children(read(extensions.content, tags.sequence))) {
    const parts = children(extension)
    if (readOid(expectTag(parts[0])) !== '2.5.29.31') continue
    return certificatePoints(read(expectTag(parts.at(-1), tags.octetString).content, tags.sequence))
  }
  return []
}
