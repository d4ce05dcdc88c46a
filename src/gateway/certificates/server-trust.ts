/**
 * Which servers the gateway believes when it asks on its own behalf: CAs, Vault, Redis, webhooks. By the same rules as backends:
 * the chain verifies, no certificate in it is weak, and the name is in subjectAltName.
 */
import { X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import type { PeerCheck, ServerTrust } from '../../base/http-request.ts'
import { certificateBlocks, readCaText } from '../../certs/files/pem.ts'
import { backendJudge } from '../../certs/x509/backend-judge.ts'
import { type FindPath, pathsTo } from '../../certs/x509/client-path.ts'
import { certificateChain } from '../../transport/certificate-chain.ts'
import { lazyRuntimeRoots } from './runtime-paths.ts'

const runtimePaths = lazyRuntimeRoots()

/** Throws UsageError where the file cannot be used. @param beside its CAs are trusted beside those of the runtime, and not instead */
export function serverTrust(caFile: string | null, beside?: 'beside'): Required<ServerTrust> {
  const ca = caFile === null ? null : readCaText(caFile)
  return { ca, check: checkServer(ca, beside === 'beside') }
}

function checkServer(ca: string | null, beside: boolean): PeerCheck {
  let own: FindPath | null = null
  const ownPath = (pem: string) =>
    (own ??= pathsTo(certificateBlocks(pem, 'ca').map(block => new X509Certificate(block))))
  const paths = (): FindPath => {
    if (ca === null) return runtimePaths()
    if (!beside) return ownPath(ca)
    return (leaf, sent) => {
      const found = ownPath(ca)(leaf, sent)
      return found.anchored ? found : runtimePaths()(leaf, sent)
    }
  }
  return (host, certificate) => {
    const wrongName = tls.checkServerIdentity(host, certificate)
    if (wrongName !== undefined) return wrongName
    const judge = backendJudge({ findPath: paths, name: host, spiffe: [], server: 'server' })
    const problem = judge.problem(certificateChain(certificate), false)
    return problem === null ? undefined : new Error(problem)
  }
}
