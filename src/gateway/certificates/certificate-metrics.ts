/**
 * Certificates as metrics. Reading one takes 20 us, so ten thousand (0.25 s) are read in slices, and
 * connections are served in between.
 */

import type { ListedCertificate } from '../../certs/files/list.ts'
import { dayMs } from '../../certs/x509/expiry.ts'
import { type FamilyData, gauge, labelValue, type Metric, type SampleData } from '../../model/metrics.ts'
import { familyOf } from '../../observe/gateway-metrics.ts'

/** About 2 ms. */
const slice = 100
const mostNames = 3

const labels = ['names', 'site', 'source', 'key']
const certificates = gauge(
  'sallyport_certificates',
  'Certificates in use, and configured ones that could not be loaded.',
)
const certificatesExpired = gauge('sallyport_certificates_expired', 'Certificates in use that have expired.')
const certificatesBroken = gauge(
  'sallyport_certificates_broken',
  'Certificates whose files cannot be used, or that could not be ordered or renewed.',
)
const notAfterSeconds = gauge(
  'sallyport_certificate_not_after_seconds',
  'When a certificate expires, in seconds since 1970.',
  labels,
)
const daysLeft = gauge(
  'sallyport_certificate_days_left',
  'Days until a certificate expires; negative afterwards.',
  labels,
)
const hasProblem = gauge(
  'sallyport_certificate_problem',
  '1 for a certificate that should be replaced and cannot be; sallyport certs list says why.',
  labels,
)

/** For the documentation */
export const certificateMetricsDefined: readonly Metric[] = [
  certificates,
  certificatesExpired,
  certificatesBroken,
  notAfterSeconds,
  daysLeft,
  hasProblem,
]

type Series = { readonly labels: readonly string[]; readonly notAfter: number | null; readonly problem: boolean }

/** @param listed as returned by Gateway.heldCertificates */
export async function certificateMetrics(
  listed: readonly ListedCertificate[],
  now: () => number,
): Promise<FamilyData[]> {
  const series = new Map<string, Series>()
  let [expired, broken] = [0, 0]
  for (let from = 0; from < listed.length; from += slice) {
    if (from > 0) await new Promise(resolve => setImmediate(resolve))
    for (const one of listed.slice(from, from + slice)) {
      const notAfter = one.validity()?.notAfter ?? null
      if (one.problem !== null) broken++
      // It is presented to nobody, so an alert about its expiry would be pointless.
      if (one.superseded) continue
      if (notAfter !== null && notAfter < now()) expired++
      add(series, labelsOf(one), { notAfter, problem: one.problem !== null })
    }
  }
  const ends: SampleData[] = []
  const days: SampleData[] = []
  const problems: SampleData[] = []
  for (const { labels, notAfter, problem } of series.values()) {
    if (problem) problems.push({ labels, value: 1 })
    if (notAfter === null) continue
    ends.push({ labels, value: Math.floor(notAfter / 1000) })
    // Rounded down to a hundredth, so that a certificate that expired a second ago is below zero.
    days.push({ labels, value: Math.floor(((notAfter - now()) / dayMs) * 100) / 100 })
  }
  return [
    familyOf(certificates, listed.length),
    familyOf(certificatesExpired, expired),
    familyOf(certificatesBroken, broken),
    { ...notAfterSeconds, samples: ends },
    { ...daysLeft, samples: days },
    { ...hasProblem, samples: problems },
  ]
}

function labelsOf(one: ListedCertificate): string[] {
  const leaf = one.leaf()
  const names = leaf?.names ?? []
  const more = names.length > mostNames ? `,+${names.length - mostNames}` : ''
  const shown = names.slice(0, mostNames).join(',') + more
  return [shown, one.sites[0] ?? '', one.source, leaf?.keyType ?? ''].map(labelValue)
}

/** Two samples with the same labels would invalidate the whole scrape: of two such certificates, the first to expire. */
function add(series: Map<string, Series>, labels: readonly string[], one: Omit<Series, 'labels'>): void {
  const key = labels.join('\0')
  const known = series.get(key)
  const ends = [known?.notAfter ?? null, one.notAfter].filter(each => each !== null)
  series.set(key, {
    labels,
    notAfter: ends.length === 0 ? null : Math.min(...ends),
    problem: one.problem || (known?.problem ?? false),
  })
}
