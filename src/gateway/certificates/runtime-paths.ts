/** Paths to CAs that are loaded when a server first needs them: those of a file, or those that the runtime's TLS trusts. */
import { X509Certificate } from 'node:crypto'
import { certificateBlocks } from '../../certs/files/pem.ts'
import { runtimeRoots } from '../../certs/files/roots.ts'
import { type FindPath, pathsTo } from '../../certs/x509/client-path.ts'
import { readCertificate } from '../../certs/x509/x509-read.ts'

/** Paths to the CAs in this text. @param what describes it, for errors */
export function lazyPathsTo(pem: string, what: string): () => FindPath {
  let find: FindPath | null = null
  return () => (find ??= pathsTo(certificateBlocks(pem, what).map(block => new X509Certificate(block))))
}

/** Paths to the CAs of the runtime, which are loaded when a backend first needs them. */
export function lazyRuntimeRoots(): () => FindPath {
  let find: FindPath | null = null
  const make = (): FindPath => {
    const rootsOf = runtimeRoots()
    return (leaf, sent) => {
      const names = [leaf, ...sent].flatMap(each => {
        const { issuerDer, subjectDer } = readCertificate(each.raw)
        return [issuerDer, subjectDer]
      })
      return pathsTo(names.flatMap(rootsOf))(leaf, sent)
    }
  }
  return () => (find ??= make())
}
