/**
 * What of a policy this runtime's TLS library can offer, asked of the library itself. A cipher that it does not have
 * leaves a policy that is at least as strong, and is a warning; so is a group, as long as others of its kind remain.
 * What would make the policy weaker than it says, or offer what it does not name, is an error.
 */
import tls from 'node:tls'
import { UsageError } from '../base/errors.ts'
import { runtime } from '../base/runtime.ts'
import { allSuites, isPostQuantum, type Policy } from '../model/policies.ts'

type Offer = {
  readonly policy: Policy
  /** What is left out, for `check` */
  readonly warnings: readonly string[]
}

/** Throws UsageError where the policy cannot be kept. */
export function offerOf(policy: Policy): Offer {
  const name = `${runtime.name} ${runtime.version}`
  const ciphers = policy.ciphers.filter(hasCipher)
  const groups = policy.groups.filter(hasGroup)
  const lost = [...policy.ciphers, ...policy.groups].filter(
    each => !ciphers.includes(each) && !groups.includes(each),
  )
  const refuse = (why: string) => new UsageError(`policy ${policy.name} cannot be kept on ${name}: ${why}`)
  if (groups.length === 0) throw refuse(`it has none of ${policy.groups.join(', ')}${elsewhere()}`)
  if (policy.groups.some(isPostQuantum) && !groups.some(isPostQuantum))
    throw refuse(`it has no post-quantum group of ${policy.groups.filter(isPostQuantum).join(', ')}${elsewhere()}`)
  if (policy.minVersion !== 'TLSv1.3' && ciphers.length === 0)
    throw refuse(`it has none of the ciphers for TLS 1.2${elsewhere()}`)
  const unwanted = allSuites.filter(suite => !policy.suites.includes(suite))
  if (policy.maxVersion === 'TLSv1.3' && unwanted.length > 0 && !choosesSuites()) {
    throw refuse(
      `its TLS library offers ${unwanted.join(', ')} in TLS 1.3 regardless of its settings${elsewhere()}`,
    )
  }
  const warnings =
    lost.length > 0 ? [`policy ${policy.name}: ${name} does not have ${lost.join(', ')}; left out`] : []
  return { policy: { ...policy, ciphers, groups }, warnings }
}

const known = new Map<string, boolean>()

/** Whether a context with these options can be made; asked once. */
function can(options: tls.SecureContextOptions): boolean {
  const key = JSON.stringify(options)
  let answer = known.get(key)
  if (answer === undefined) {
    try {
      tls.createSecureContext(options)
      answer = true
    } catch {
      answer = false
    }
    known.set(key, answer)
  }
  return answer
}

const hasCipher = (cipher: string): boolean => can({ ciphers: cipher, maxVersion: 'TLSv1.2' })
const hasGroup = (group: string): boolean => can({ ecdhCurve: group })
/** OpenSSL takes a list of TLS 1.3 suites; BoringSSL has a fixed one. Only OpenSSL knows security levels. */
const choosesSuites = (): boolean => can({ ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=1' })
/** What to do about it, where another runtime would do. */
const elsewhere = (): string => (choosesSuites() ? '' : '; use --runtime node')
