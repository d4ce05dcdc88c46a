/**
 * What a backend's certificate must be besides valid, by rules of our own for both runtimes: strong, with its name in
 * subjectAltName (RFC 9525 section 6.3: a common name is no identity; OpenSSL and Bun fall back to it), and with one of the
 * SPIFFE ids that are asked for. The TLS library has verified the chain, and the name where there is one.
 */
import { X509Certificate } from 'node:crypto'
import net from 'node:net'
import { messageOf } from '../../base/errors.ts'
import type { PeerJudge } from '../../model/tls-terms.ts'
import type { FindPath } from './client-path.ts'
import { spiffeProblem } from './spiffe.ts'
import { strongEnough } from './weakness.ts'
import { readCertificate } from './x509-read.ts'

type BackendTerms = {
  /** To the CAs that are trusted, made when it is first needed; null where weak certificates are taken */
  readonly findPath: (() => FindPath) | null
  /** The name that the library has verified; null for none, or where a common name will do */
  readonly name: string | null
  readonly spiffe: readonly string[]
  /** A server that the gateway asks on its own behalf has no options by which a weak certificate would be taken */
  readonly server?: 'backend' | 'server'
}

export function backendJudge({ findPath, name, spiffe, server = 'backend' }: BackendTerms): PeerJudge {
  const orWrite = (option: string) => (server === 'backend' ? `, or write tls: { ${option}: allow }` : '')
  return {
    problem(chain, resumed) {
      const [leaf, ...sent] = chain
      if (leaf === undefined) return `the ${server} has shown no certificate`
      try {
        const unnamed = nameProblem(leaf, name)
        const why =
          (spiffe.length === 0 ? null : spiffeProblem(leaf, spiffe)) ??
          (unnamed === null ? null : `the certificate of the ${server} ${unnamed}${orWrite('commonName')}`)
        // A session is resumed only from a handshake that was judged, under the same terms.
        if (why !== null || resumed || findPath === null) return why
        const { weakness } = findPath()(
          new X509Certificate(leaf),
          sent.map(der => new X509Certificate(der)),
        )
        return weakness === null
          ? null
          : `the certificate of the ${server} is too weak: ${weakness}; ${strongEnough}${orWrite('weak')}`
      } catch (error) {
        return `the certificate of the ${server} cannot be read: ${messageOf(error)}`
      }
    },
  }
}

function nameProblem(leaf: Uint8Array, name: string | null): string | null {
  if (name === null) return null
  const wanted = net.isIP(name) === 0 ? 'DNS name' : 'IP address'
  const { names } = readCertificate(leaf)
  if (names.some(each => (net.isIP(each) === 0) === (net.isIP(name) === 0))) return null
  return (
    `has no ${wanted} in subjectAltName, and its common name does not count (RFC 9525); ` +
    `have it issued with ${name} there`
  )
}
