/**
 * Certificate revocation lists (RFC 5280 section 5), read by ourselves so that both runtimes treat them alike, a new
 * list counts at once, and it counts for resumed sessions and open connections too. A list is taken only when one of
 * the CAs has signed it; one that has ended, or a CA without a list, refuses (fail closed).
 *
 * Invariant: the signature is checked before anything in the list is looked at but its issuer's name: what nobody has
 * signed costs one digest.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { UsageError } from '../../base/errors.ts'
import { readEntries } from './crl-entries.ts'
import { type CrlScope, readScope } from './crl-scope.ts'
import { DerError, type DerValue, expectTag, fewChildren, read, readTime, tags } from './der.ts'
import { nameText } from './name-text.ts'
import type { SerialSet } from './serial-set.ts'
import { signedBy } from './signature.ts'
import { readCertificate } from './x509-read.ts'

export type Crl = {
  readonly issuerDer: Buffer
  /** `keyDigest` of the CA that has signed it */
  readonly signer: string
  readonly scope: CrlScope
  /** Milliseconds since 1970 */
  readonly thisUpdate: number
  /** Infinity where the list names none */
  readonly nextUpdate: number
  readonly revoked: SerialSet
}

/** Tells the keys of CAs apart: one name may have had several. */
export const keyDigest = (ca: X509Certificate): string =>
  createHash('sha256')
    .update(ca.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')

/** Clocks of CAs differ from ours by less than this, as for OCSP responses. */
const skewMs = 300_000
/** version, algorithm, issuer, two times, entries, extensions */
const mostFields = 7
/** RSASSA-PSS with all of its parameters has 70. */
const mostAlgorithmBytes = 256
/** In one file: each costs a signature check. */
const mostLists = 100
/** How long others wait for their turn while a list is read in slices */
const sliceMs = 10

/** Reads lists in PEM or DER. @param what names the file, for errors. Throws UsageError. */
export function readCrls(bytes: Buffer, cas: readonly X509Certificate[], what: string, now = Date.now()): Crl[] {
  const reading = readLists(bytes, cas, what, now)
  for (;;) {
    const step = reading.next()
    if (step.done) return step.value
  }
}

/** The same, letting others have their turn. Rejects with UsageError. */
export async function readCrlsInSlices(
  bytes: Buffer,
  cas: readonly X509Certificate[],
  what: string,
  now = Date.now(),
): Promise<Crl[]> {
  const reading = readLists(bytes, cas, what, now)
  for (let begun = performance.now(); ; ) {
    const step = reading.next()
    if (step.done) return step.value
    if (performance.now() - begun < sliceMs) continue
    await setImmediate()
    begun = performance.now()
  }
}

function* readLists(
  bytes: Buffer,
  cas: readonly X509Certificate[],
  what: string,
  now: number,
): Generator<void, Crl[]> {
  const found: Crl[] = []
  try {
    const lists = derLists(bytes)
    if (lists.length === 0) throw new UsageError('holds no CRL (PEM "X509 CRL", or DER)')
    if (lists.length > mostLists) throw new UsageError(`holds more than ${mostLists} CRLs`)
    for (const der of lists) {
      found.push(yield* readCrl(der, cas, now))
      yield
    }
  } catch (error) {
    if (error instanceof DerError) throw new UsageError(`${what}: is not a CRL: ${error.message}`)
    if (error instanceof UsageError) throw new UsageError(`${what}: ${error.message}`)
    throw error
  }
  return found
}

function* readCrl(der: Buffer, cas: readonly X509Certificate[], now: number): Generator<void, Crl> {
  const [list, algorithm, signature] = fewChildren(read(der, tags.sequence), 3)
  const fields = fewChildren(expectTag(list, tags.sequence), mostFields)
  if (expectTag(algorithm).raw.length > mostAlgorithmBytes) throw new DerError('its algorithm is too long')
  let at = fields[0]?.tag === tags.integer ? 1 : 0
  at++ // The algorithm once more, inside of what is signed.
  const issuer = expectTag(fields[at++], tags.sequence)
  const signer = signerOf(issuer.raw, cas, list, algorithm, signature)
  const thisUpdate = readTime(expectTag(fields[at++]))
  if (thisUpdate > now + skewMs)
    throw new UsageError(
      `the CRL is not valid before ${new Date(thisUpdate).toISOString()}; is the clock of this machine right?`,
    )
  const isTime = (value: DerValue | undefined) => value?.tag === tags.utcTime || value?.tag === tags.generalizedTime
  const nextUpdate = isTime(fields[at]) ? readTime(fields[at++] as DerValue) : Number.POSITIVE_INFINITY
  const entries = fields[at]?.tag === tags.sequence ? fields[at++] : undefined
  const extensions = fields[at]?.tag === 0xa0 ? fields[at++] : undefined
  if (at < fields.length) throw new DerError(`unexpected tag 0x${fields[at]?.tag.toString(16)}`)
  const scope = readScope(extensions)
  // What outlives this must not hold on to the bytes of the whole list.
  const issuerDer = Buffer.from(issuer.raw)
  return { issuerDer, signer, scope, thisUpdate, nextUpdate, revoked: yield* readEntries(entries) }
}

function signerOf(
  issuerDer: Buffer,
  cas: readonly X509Certificate[],
  ...parts: [DerValue | undefined, DerValue | undefined, DerValue | undefined]
): string {
  const signed = signedBy(...parts)
  if (signed.unknown !== null)
    throw new UsageError(`the CRL is signed with ${signed.unknown}, which is not supported`)
  const named = cas.filter(ca => readCertificate(ca.raw).subjectDer.equals(issuerDer))
  const by = named.find(ca => signed.by(ca.publicKey))
  if (by === undefined) throw new UsageError('the CRL was not signed by any of the CAs in clients.ca')
  return keyDigest(by)
}

/** A list for people: of which CA, and which. */
export function crlText({ issuerDer, scope, thisUpdate }: Crl): string {
  const number = scope.number === null ? '' : `number ${scope.number}, `
  return `the CRL of ${nameText(issuerDer)} (${number}of ${new Date(thisUpdate).toISOString()})`
}

/** DER begins with a SEQUENCE of more than 127 bytes, which no text does. */
function derLists(bytes: Buffer): Buffer[] {
  const isDer = bytes[0] === tags.sequence && (bytes[1] as number) > 0x80
  if (isDer || !bytes.includes('-----BEGIN')) return [bytes]
  const lists: Buffer[] = []
  const begin = '-----BEGIN X509 CRL-----'
  const end = '-----END X509 CRL-----'
  for (let from = bytes.indexOf(begin); from >= 0 && lists.length <= mostLists; ) {
    const to = bytes.indexOf(end, from)
    if (to < 0) throw new UsageError('a CRL is cut off (its "-----END" line is missing)')
    lists.push(Buffer.from(bytes.toString('latin1', from + begin.length, to), 'base64'))
    from = bytes.indexOf(begin, to)
  }
  return lists
}
