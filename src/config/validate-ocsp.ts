/** `ocsp`, from rows to config.ts, and where it cannot be had. */
import { abilities, runtime } from '../base/runtime.ts'
import type { CertificateConfig } from './config.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOfKey } from './engine/tree.ts'

/** @returns whether OCSP responses are stapled */
export function validateOcsp(
  raw: 'off' | 'staple' | undefined,
  certificate: CertificateConfig | null,
  node: Node,
  problems: Problems,
): boolean {
  if (raw !== 'staple' || !childOf(node, 'ocsp')) return false
  const at = placeOfKey(node, 'ocsp')
  if (certificate === null) {
    problems.error(at, 'ocsp: staple needs a certificate of the gateway, and this site has none', 'remove it')
    return false
  }
  if (certificate.kind === 'local') {
    problems.error(at, 'ocsp: staple needs a CA with an OCSP responder, and the local CA has none', 'remove it')
    return false
  }
  if (!abilities.stapling) {
    const hint = 'remove it, or use --runtime node'
    problems.warn(
      at,
      `ocsp: staple: ${runtime.name}'s TLS library cannot staple OCSP responses, so this has no effect`,
      hint,
    )
  }
  return true
}
