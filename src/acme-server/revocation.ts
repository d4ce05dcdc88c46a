/** Revocation (RFC 8555 section 7.6) and when to renew (RFC 9773). */
import { X509Certificate } from 'node:crypto'
import type { CertificateRecord } from '../model/authority.ts'
import { authorizationStatus } from './authorizations.ts'
import { decode } from './jws.ts'
import { AcmeProblem, malformed, notFound, unauthorized } from './problem.ts'
import type { Account } from './records.ts'
import { type Answer, jsonAnswer, type Shared, timeOf } from './terms.ts'

/** RFC 5280 section 5.3.1; those about CAs, and those that can be taken back, are not for subscribers. */
const allowedReasons = [0, 1, 3, 4, 5, 9]

/** @param by the account, or the SPKI (DER) of the key that signed the request */
export async function revoke(
  shared: Shared,
  payload: Record<string, unknown>,
  by: Account | Buffer,
): Promise<Answer> {
  const { certificate, reason = 0 } = payload
  if (typeof certificate !== 'string') throw malformed('certificate is missing')
  if (!allowedReasons.includes(reason as number))
    throw new AcmeProblem('badRevocationReason', 400, `reason is one of ${allowedReasons.join(', ')}`)
  const der = decode(certificate, 'certificate')
  const x509 = parse(der)
  const record = await shared.authority.find(der)
  if (record === null) throw notFound('certificate: it was not issued here, or ended long ago')
  if (by instanceof Uint8Array) {
    if (!x509.publicKey.export({ type: 'spki', format: 'der' }).equals(by))
      throw unauthorized('the request is signed with neither the key of the certificate nor that of an account')
  } else if (record.requester !== `acme ${by.id}` && !(await holdsAll(shared, by, record))) {
    throw unauthorized('the certificate is of another account')
  }
  if (!(await shared.authority.revoke(record.serial, reason as number)))
    throw new AcmeProblem('alreadyRevoked', 400, 'the certificate was revoked before')
  shared.log.write('info', 'internal CA: certificate revoked', {
    serial: record.serial,
    names: record.names.join(' '),
    reason,
    by: by instanceof Uint8Array ? 'its own key' : by.id,
  })
  return { status: 200, fields: {}, body: '' }
}

function parse(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch {
    throw malformed('certificate is not the DER of one, in base64url')
  }
}

/** An account that has proved every name of a certificate may take it back, whoever asked for it. */
async function holdsAll(shared: Shared, account: Account, record: CertificateRecord): Promise<boolean> {
  const held = new Set<string>()
  for (const id of await shared.records.authorizations(account.id)) {
    const authorization = await shared.records.authorization(account.id, id)
    if (authorization === null || authorizationStatus(authorization, shared.now()) !== 'valid') continue
    held.add(`${authorization.wildcard ? '*.' : ''}${authorization.identifier.value}`)
  }
  return record.names.length > 0 && record.uris.length === 0 && record.names.every(name => held.has(name))
}

/** The record behind a certificate id: `base64url(authority key id) . base64url(serial)`. Null where there is none. */
export async function recordOfId(shared: Shared, id: string): Promise<CertificateRecord | null> {
  const found = /^([A-Za-z0-9_-]{1,80})\.([A-Za-z0-9_-]{1,40})$/.exec(id)
  if (found === null) throw malformed('a certificate id is two parts of base64url (RFC 9773 section 4.1)')
  const [keyId, serial] = [
    decode(found[1] as string, 'the key id'),
    decode(found[2] as string, 'the serial number'),
  ]
  return shared.authority.findById(keyId, serial.toString('hex').replace(/^(00)+(?=.)/, ''))
}

/** The clocks of a fleet differ by less. */
const skewMs = 300_000

/** A window that begins at two thirds of the lifetime; now for what is not valid yet, in the past for what is revoked. */
export async function renewalInfo(shared: Shared, id: string): Promise<Answer> {
  const record = await recordOfId(shared, id)
  if (record === null) throw notFound('certificate')
  const lifetimeMs = record.notAfter - record.notBefore
  // It was issued while the clock ran ahead: nobody can use it, and its own dates would keep it for as long.
  const now = shared.now()
  const isEarly = record.notBefore > now + skewMs
  const due = isEarly ? now - 60_000 : record.notBefore + (lifetimeMs * 2) / 3
  const start = record.revoked === null || isEarly ? due : record.notBefore
  const end = record.revoked === null ? start + lifetimeMs / 12 : Math.max(start + 1_000, record.revoked.at)
  const again = Math.min(21_600, Math.max(60, Math.floor(lifetimeMs / 24 / 1000)))
  const body = { suggestedWindow: { start: timeOf(start), end: timeOf(end) } }
  return jsonAnswer(200, body, { 'retry-after': `${again}` })
}
