/** All certificates of a snapshot, each once with the sites that present it; and whether one of them has expired. */

import { daysLeft, type ListedCertificate } from '../../certs/files/list.ts'
import { durationText } from '../../certs/x509/expiry.ts'
import type { SiteCertificates } from './certificates.ts'

export function listCertificates(sites: readonly SiteCertificates[]): ListedCertificate[] {
  const listed = new Map<object, ListedCertificate & { readonly sites: string[] }>()
  for (const { site, source } of sites) {
    for (const { key, ...held } of source.held()) {
      const known = listed.get(key)
      if (known === undefined) listed.set(key, { ...held, sites: [site] })
      else if (known.sites.at(-1) !== site) known.sites.push(site)
    }
  }
  return [...listed.values()]
}

/** For the readiness probe: one sentence for each expired certificate, twenty at most. */
export function expiredReasons(listed: readonly ListedCertificate[], now: number): string[] {
  const expired = listed.filter(one => hasEnded(one, now))
  const reasons = expired.slice(0, mostReasons).map(one => {
    const ended = one.validity()?.notAfter ?? now
    const when = `${new Date(ended).toISOString().slice(0, 16).replace('T', ' ')} UTC`
    return `certificate of ${one.sites[0] ?? one.source} expired on ${when}, ${durationText(now - ended)} ago`
  })
  if (expired.length > mostReasons) reasons.push(`and ${expired.length - mostReasons} more`)
  return reasons
}

const mostReasons = 20

const hasEnded = (one: ListedCertificate, now: number): boolean =>
  !one.superseded && now > (one.validity()?.notAfter ?? Number.POSITIVE_INFINITY)

export type CertificateCount = {
  readonly total: number
  readonly expired: number
  /** The current content of their source cannot be used */
  readonly broken: number
  /** The one that expires next, of those that have not expired */
  readonly soonest: {
    readonly names: readonly string[]
    readonly notAfter: number
    readonly daysLeft: number
  } | null
}

/** For status and metrics: cheap for ten thousand certificates, unlike rows. */
export function countCertificates(listed: readonly ListedCertificate[], now: number): CertificateCount {
  let soonest: ListedCertificate | null = null
  let ends = Number.POSITIVE_INFINITY
  for (const one of listed) {
    const notAfter = one.superseded ? undefined : one.validity()?.notAfter
    if (notAfter === undefined || notAfter < now || notAfter >= ends) continue
    soonest = one
    ends = notAfter
  }
  return {
    total: listed.length,
    expired: listed.filter(one => hasEnded(one, now)).length,
    broken: listed.filter(one => one.problem !== null).length,
    soonest:
      soonest === null
        ? null
        : { names: soonest.leaf()?.names ?? [], notAfter: ends, daysLeft: daysLeft(ends, now) },
  }
}
