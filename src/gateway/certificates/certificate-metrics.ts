/**
 * Certificates as metrics. To read one costs 20 us, so that ten thousand (0.25 s) are read in slices, between which
 * connections are served.
 */

import type { ListedCertificate } from '../../certs/files/list.ts'
import { dayMs } from '../../certs/x509/expiry.ts'
import { family, labelText, type Sample } from '../../observe/exposition.ts'

/** Some 2 ms. */
const slice = 100
const mostNames = 3

type Series = { readonly notAfter: number | null; readonly problem: boolean }

/** @param listed as Gateway.heldCertificates gives it */
export async function certificateMetrics(listed: readonly ListedCertificate[], now: () => number): Promise<string> {
  const series = new Map<string, Series>()
  let [expired, broken] = [0, 0]
  for (let from = 0; from < listed.length; from += slice) {
    if (from > 0) await new Promise(resolve => setImmediate(resolve))
    for (const one of listed.slice(from, from + slice)) {
      const notAfter = one.validity()?.notAfter ?? null
      if (one.problem !== null) broken++
      // Shown to nobody: an alert for its end would be one for nothing.
      if (one.superseded) continue
      if (notAfter !== null && notAfter < now()) expired++
      add(series, labelsOf(one), { notAfter, problem: one.problem !== null })
    }
  }
  const ends: Sample[] = []
  const days: Sample[] = []
  const problems: Sample[] = []
  for (const [labels, { notAfter, problem }] of series) {
    if (problem) problems.push({ labels, value: 1 })
    if (notAfter === null) continue
    ends.push({ labels, value: Math.floor(notAfter / 1000) })
    // Down to the next hundredth: what ended a second ago is below zero.
    days.push({ labels, value: Math.floor(((notAfter - now()) / dayMs) * 100) / 100 })
  }
  const one = (value: number): Sample[] => [{ labels: '', value }]
  return (
    family(
      'sallyport_certificates',
      'gauge',
      'Certificates in use, and configured ones that could not be loaded.',
      one(listed.length),
    ) +
    family('sallyport_certificates_expired', 'gauge', 'Certificates in use that have expired.', one(expired)) +
    family(
      'sallyport_certificates_broken',
      'gauge',
      'Certificates whose files cannot be used, or that could not be ordered or renewed.',
      one(broken),
    ) +
    family(
      'sallyport_certificate_not_after_seconds',
      'gauge',
      'When a certificate expires, in seconds since 1970.',
      ends,
    ) +
    family(
      'sallyport_certificate_days_left',
      'gauge',
      'Days until a certificate expires; negative afterwards.',
      days,
    ) +
    family(
      'sallyport_certificate_problem',
      'gauge',
      '1 for a certificate that should be replaced and cannot be; sallyport certs list says why.',
      problems,
    )
  )
}

function labelsOf(one: ListedCertificate): string {
  const leaf = one.leaf()
  const names = leaf?.names ?? []
  const more = names.length > mostNames ? `,+${names.length - mostNames}` : ''
  return labelText([
    ['names', names.slice(0, mostNames).join(',') + more],
    ['site', one.sites[0] ?? ''],
    ['source', one.source],
    ['key', leaf?.keyType ?? ''],
  ])
}

/** Two samples with the same labels would spoil the whole scrape: of two that look alike, the one that ends first. */
function add(series: Map<string, Series>, labels: string, one: Series): void {
  const known = series.get(labels)
  const ends = [known?.notAfter ?? null, one.notAfter].filter(each => each !== null)
  series.set(labels, {
    notAfter: ends.length === 0 ? null : Math.min(...ends),
    problem: one.problem || (known?.problem ?? false),
  })
}
