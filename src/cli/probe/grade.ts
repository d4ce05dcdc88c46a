/** A server against a policy: what it accepts that the policy does not, and what the policy would have of it. */
import { isPostQuantum, type Policy, tlsVersions } from '../../model/policies.ts'
import type { Inspected } from './inspect.ts'
import type { Accepted } from './scan.ts'

/** Days before its end at which a certificate falls short */
const leastDays = 7

/** Each a sentence; none where the server is as good as the policy. */
export function grade(policy: Policy, accepted: readonly Accepted[], seen: Inspected): string[] {
  const found: string[] = []
  for (const { version, graded } of accepted) {
    const broken = graded.filter(each => each.grade === 'F').map(({ cipher, why }) => `${cipher} (${why})`)
    if (broken.length > 0) found.push(`${version}: ciphers of grade F: ${broken.join(', ')}`)
  }
  const lowest = tlsVersions.indexOf(policy.minVersion)
  for (const { version, ciphers, groups, graded } of accepted) {
    const number = tlsVersions.indexOf(
      version === 'TLS 1.0' ? 'TLSv1' : (version.replace('TLS ', 'TLSv') as 'TLSv1.3'),
    )
    if (number < lowest) {
      found.push(`${version} is accepted; ${policy.name} begins with ${policy.minVersion}`)
      continue
    }
    const allowed = version === 'TLS 1.3' ? policy.suites : policy.ciphers
    const broken = new Set(graded.filter(each => each.grade === 'F').map(each => each.cipher))
    const weak = ciphers.filter(cipher => !allowed.includes(cipher) && !broken.has(cipher))
    if (weak.length > 0) found.push(`${version}: ciphers outside of ${policy.name}: ${weak.join(', ')}`)
    const others = groups.filter(group => !policy.groups.includes(group))
    if (others.length > 0) found.push(`${version}: groups outside of ${policy.name}: ${others.join(', ')}`)
  }
  if (accepted.length === 0) found.push('no TLS version is accepted')
  const all = accepted.flatMap(({ groups }) => groups)
  if (policy.groups.some(isPostQuantum) && !all.some(isPostQuantum)) found.push('no post-quantum group is accepted')
  if (seen.handshake !== null) found.push(`whether the certificate verifies ${seen.problem}`)
  else if (seen.problem !== null) found.push(`the certificate does not verify: ${seen.problem}`)
  if (seen.daysLeft !== null && seen.daysLeft < leastDays) found.push(`the certificate ${endText(seen.daysLeft)}`)
  return found
}

export function endText(daysLeft: number): string {
  const days = Math.abs(daysLeft)
  const text = `${days} ${days === 1 ? 'day' : 'days'}`
  return daysLeft < 0 ? `ended ${text} ago` : `ends in ${text}`
}
