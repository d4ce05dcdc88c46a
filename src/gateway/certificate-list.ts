/** All certificates of a snapshot, each once with the sites that show it; and whether one of them has ended. */
import { durationText } from '../certs/expiry.ts'
import type { CertificateRow, ListedCertificate } from '../certs/list.ts'
import type { SiteCertificates } from './compile.ts'

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

/** In the words of a readiness probe: one sentence for each certificate that has ended, twenty at most. */
export function expiredReasons(rows: readonly CertificateRow[], now: number): string[] {
  const expired = rows.filter(({ state }) => state === 'expired')
  const reasons = expired.slice(0, mostReasons).map(({ notAfter, names, sites, source }) => {
    const ended = notAfter as number
    const when = `${new Date(ended).toISOString().slice(0, 16).replace('T', ' ')} UTC`
    const whose = sites[0] ?? names[0] ?? source
    return `certificate of ${whose} expired on ${when}, ${durationText(now - ended)} ago`
  })
  if (expired.length > mostReasons) reasons.push(`and ${expired.length - mostReasons} more`)
  return reasons
}

const mostReasons = 20
