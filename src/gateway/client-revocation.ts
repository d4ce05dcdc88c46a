/**
 * Whether a client is revoked, by the lists in `clients.crl` (RFC 5280 section 6.3). For its own certificate a list is required;
 * for the CA certificates between it and the roots, it is optional.
 *
 * Invariant: a list counts only for the certificates that it covers, and only until it expires.
 */
import type { Crl } from '../certs/x509/crl.ts'
import { atPoint, covers } from '../certs/x509/crl-scope.ts'
import type { ClientPath, ClientPathStep } from '../model/client-identity.ts'

/** @returns the reason to refuse the client, or null */
export function revocation({ steps, complete }: ClientPath, lists: readonly Crl[], now: number): string | null {
  for (const [index, step] of steps.entries()) {
    const why = problemOf(step, lists, now, index === 0)
    if (why !== null) return why
  }
  // A resumed session may lack the intermediate certificates: a list that may cover them must not be skipped.
  const known = (crl: Crl) => steps.some(step => step.issuerDer.equals(crl.issuerDer))
  if (!complete && !lists.every(known))
    return 'the CAs above it are not known, and one may be revoked; put all of them into clients.ca'
  return null
}

function problemOf(step: ClientPathStep, lists: readonly Crl[], now: number, isLeaf: boolean): string | null {
  const what = isLeaf ? 'the certificate' : 'a CA above it, with the certificate'
  const own = lists.filter(crl => crl.issuerDer.equals(step.issuerDer))
  const covering = own.filter(crl => covers(crl.scope, step))
  if (covering.some(crl => crl.revoked.has(step.serial))) return `${what} ${step.serial} is revoked`
  if (covering.length === 0) {
    if (own.some(crl => !atPoint(crl.scope, step.points)))
      return `${what} ${step.serial} has another distribution point than the CRLs of its issuer in clients.crl`
    if (!isLeaf) return null
    return own.length === 0
      ? 'no CRL of its issuer is in clients.crl'
      : 'the CRL of its issuer is not about certificates of CAs'
  }
  return isCurrent(step, covering, now)
    ? null
    : `the CRL of ${isLeaf ? 'its issuer' : 'the issuer of a CA above it'} has ended`
}

function isCurrent(step: ClientPathStep, covering: readonly Crl[], now: number): boolean {
  // A CA that has changed its key may sign a list with each key; the one signed by the key that issued the certificate counts.
  const ofKey = covering.filter(crl => step.issuerKeys.includes(crl.signer))
  const judging = ofKey.length > 0 ? ofKey : covering
  const open = judging.filter(crl => crl.nextUpdate >= now)
  // A certificate without a distribution point may be in any part of the list, so no part may have expired.
  if (step.points.length > 0 || open.some(crl => crl.scope.points === null)) return open.length > 0
  const pointsOf = (crl: Crl) => crl.scope.points?.join()
  return judging.every(crl => open.some(other => pointsOf(other) === pointsOf(crl)))
}
