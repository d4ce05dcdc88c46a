/**
 * Which servers the gateway trusts for its own requests: CAs, Vault, Redis, webhooks. The rules are those for backends:
 * the chain verifies, no certificate in it is weak, and the name is in subjectAltName.
 */
import tls from 'node:tls'
import type { PeerCheck, ServerTrust } from '../../base/http-request.ts'
import { readCaText } from '../../certs/files/pem.ts'
import { backendJudge } from '../../certs/x509/backend-judge.ts'
import type { FindPath } from '../../certs/x509/client-path.ts'
import { certificateChain } from '../../transport/certificate-chain.ts'
import { lazyPathsTo, lazyRuntimeRoots } from './runtime-paths.ts'

const runtimePaths = lazyRuntimeRoots()

/** Throws UsageError if the file cannot be used. @param beside its CAs are trusted in addition to those of the runtime, not instead */
export function serverTrust(caFile: string | null, beside?: 'beside'): Required<ServerTrust> {
  const ca = caFile === null ? null : readCaText(caFile)
  return { ca, check: checkServer(ca, beside === 'beside') }
}

function checkServer(ca: string | null, beside: boolean): PeerCheck {
  const findPath = pathsFor(ca, beside)
  return (host, certificate) => {
    const wrongName = tls.checkServerIdentity(host, certificate)
    if (wrongName !== undefined) return wrongName
    const judge = backendJudge({ findPath, name: host, spiffe: [], server: 'server' })
    const problem = judge.problem(certificateChain(certificate), false)
    return problem === null ? undefined : new Error(problem)
  }
}

function pathsFor(ca: string | null, beside: boolean): () => FindPath {
  if (ca === null) return runtimePaths
  const own = lazyPathsTo(ca, 'ca')
  if (!beside) return own
  return () => (leaf, sent) => {
    const found = own()(leaf, sent)
    return found.anchored ? found : runtimePaths()(leaf, sent)
  }
}
