/**
 * What a revocation list is about (RFC 5280 sections 5.2 and 6.3.3): its number, and which certificates of its CA it speaks of.
 * A list that leaves some out must never be read as saying that they are good.
 *
 * Complete lists, and lists for leaves only, are taken; so is one with the name of a distribution point, which ADCS and
 * step-ca write into their complete lists and AWS Private CA into each of its partitions: it speaks of the certificates that
 * name the same point, and of those that name none (step-ca's), since a partition is told by that name alone
 * (section 4.2.1.13). Deltas, indirect lists, and those for some reasons, for CAs or attribute certificates only are refused.
 */
import { UsageError } from '../../base/errors.ts'
import { children, DerError, type DerValue, expectTag, read, readOid, tags } from './der.ts'

export type CrlScope = {
  /** cRLNumber; null where there is none */
  readonly number: bigint | null
  /** It says nothing about the certificates of CAs */
  readonly leavesOnly: boolean
  /** Names of its distribution point, the DER as hex; null: all */
  readonly points: readonly string[] | null
}

/** What a list is compared with a certificate by. */
type CrlSubject = {
  readonly isCa: boolean
  /** Names of distribution points, the DER as hex */
  readonly points: readonly string[]
}

export const covers = (scope: CrlScope, { isCa, points }: CrlSubject): boolean =>
  !(scope.leavesOnly && isCa) && atPoint(scope, points)

export const atPoint = (scope: CrlScope, points: readonly string[]): boolean =>
  scope.points === null || points.length === 0 || scope.points.some(point => points.includes(point))

/** @param extensions `[0]` of the list. Throws UsageError where the list cannot be used. */
export function readScope(extensions: DerValue | undefined): CrlScope {
  let number: bigint | null = null
  let part: Pick<CrlScope, 'leavesOnly' | 'points'> = { leavesOnly: false, points: null }
  const seen = new Set<string>()
  const list = extensions === undefined ? [] : children(read(extensions.content, tags.sequence))
  for (const extension of list) {
    const [idValue, ...rest] = children(extension)
    const id = readOid(expectTag(idValue))
    if (seen.has(id)) throw new DerError(`the extension ${id} is there twice`)
    seen.add(id)
    const critical = rest[0]?.tag === tags.boolean && rest[0].content[0] !== 0
    const content = expectTag(rest.at(-1), tags.octetString).content
    if (id === '2.5.29.20') number = readNumber(content)
    else if (id === '2.5.29.28') part = readIssuingPoint(content)
    else if (id === '2.5.29.27')
      throw new UsageError(
        'the CRL is a delta list (deltaCRLIndicator, 2.5.29.27), which has changes only; give the complete list of the CA',
      )
    // The signature is tried with every CA of the issuer's name: authorityKeyIdentifier adds nothing to that.
    else if (critical && id !== '2.5.29.35')
      throw new UsageError(`the CRL has the critical extension ${id}, which is not supported`)
  }
  return { number, ...part }
}

function readNumber(content: Buffer): bigint {
  const { content: digits } = read(content, tags.integer)
  if (digits.length === 0 || digits.length > 21) throw new DerError(`a CRL number of ${digits.length} bytes`)
  return BigInt(`0x${digits.toString('hex')}`)
}

const narrowing: Readonly<Record<number, string>> = {
  130: 'for certificates of CAs only (onlyContainsCACerts)',
  131: 'for some reasons of revocation only (onlySomeReasons)',
  132: 'an indirect list, of several CAs (indirectCRL)',
  133: 'for attribute certificates only (onlyContainsAttributeCerts)',
}

/** issuingDistributionPoint (section 5.2.5) */
function readIssuingPoint(content: Buffer): Pick<CrlScope, 'leavesOnly' | 'points'> {
  let leavesOnly = false
  let points: readonly string[] | null = null
  for (const value of children(read(content, tags.sequence))) {
    // onlySomeReasons is a list of bits, the others are booleans; FALSE is not written in DER, and harmless.
    const set = value.tag === 0x83 || value.content.some(byte => byte !== 0)
    if (value.tag === 0xa0) points = pointNames(read(value.content))
    else if (value.tag === 0x81) leavesOnly = set
    else if (set)
      throw new UsageError(
        `the CRL is ${narrowing[value.tag] ?? `narrowed by 0x${value.tag.toString(16)}`} (issuingDistributionPoint, 2.5.29.28), ` +
          'and would let revoked clients pass; give the complete list of the CA',
      )
  }
  return { leavesOnly, points }
}

/** DistributionPointName: full names, or one relative to the issuer, which is compared as it is. */
function pointNames(name: DerValue): string[] {
  if (name.tag === 0xa0) return children(name).map(each => each.raw.toString('hex'))
  if (name.tag === 0xa1) return [name.raw.toString('hex')]
  throw new DerError('the name of a distribution point is damaged')
}

/** cRLDistributionPoints of a certificate (section 4.2.1.13): the names of all. */
export function certificatePoints(points: DerValue): string[] {
  return children(points).flatMap(point => {
    const name = children(point).find(value => value.tag === 0xa0)
    return name === undefined ? [] : pointNames(read(name.content))
  })
}
