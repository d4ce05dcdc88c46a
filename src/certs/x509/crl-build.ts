/**
 * Makes certificate revocation lists (RFC 5280 section 5), version 2, with authority key identifier, number and reasons.
 *
 * Invariant: the list passes `openssl crl -verify` and our own reader (crl.ts); certs/revocation-lists.test.ts has both.
 */
import type { KeyObject } from 'node:crypto'
import { toPem } from '../../base/pem.ts'
import * as der from './der.ts'
import { extension, signatureAlgorithm, signSequence } from './x509-build.ts'

/** Section 5.3.1. 7 is not used; 8 (removeFromCRL) and 6 (certificateHold) are for what may come back, which is nothing here. */
export const reasons = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const

export type ReasonName = keyof typeof reasons

type RevokedEntry = {
  /** Hex */
  readonly serial: string
  /** Milliseconds since 1970 */
  readonly revokedAt: number
  /** A value of `reasons` */
  readonly reason: number
}

type CrlRequest = {
  /** The issuer certificate's subject, byte for byte */
  readonly issuerDer: Uint8Array
  readonly signingKey: KeyObject
  /** The issuer's subjectKeyId */
  readonly authorityKeyId: Uint8Array
  /** Larger than that of every list before it */
  readonly number: number
  /** Milliseconds since 1970 */
  readonly thisUpdate: number
  readonly nextUpdate: number
  readonly entries: readonly RevokedEntry[]
}

export function buildCrl(request: CrlRequest): { readonly der: Buffer; readonly pem: string } {
  const entries = request.entries.map(({ serial, revokedAt, reason }) => {
    // Section 5.3.1: a reason that says nothing is left out.
    const said =
      reason === 0 ? [] : [der.sequence(extension('2.5.29.21', false, der.encode(0x0a, Buffer.from([reason]))))]
    const bytes = Buffer.from(serial.length % 2 === 0 ? serial : `0${serial}`, 'hex')
    return der.sequence(der.integer(bytes), der.time(revokedAt), ...said)
  })
  const extensions = der.sequence(
    extension('2.5.29.35', false, der.sequence(der.implicit(0, request.authorityKeyId))),
    extension('2.5.29.20', false, der.integer(request.number)),
  )
  const body = der.sequence(
    der.integer(1),
    signatureAlgorithm(request.signingKey),
    request.issuerDer,
    der.time(request.thisUpdate),
    der.time(request.nextUpdate),
    // An empty SEQUENCE is not allowed (section 5.1.2.6): without entries the field is left out.
    ...(entries.length > 0 ? [der.sequence(...entries)] : []),
    der.explicit(0, extensions),
  )
  const bytes = signSequence(body, request.signingKey)
  return { der: bytes, pem: toPem('X509 CRL', bytes) }
}
