/** Paths to CAs that are read when a server first needs them: those of a file, or those that TLS of this runtime trusts. */
import { X509Certificate } from 'node:crypto'
import { certificateBlocks } from '../../certs/files/pem.ts'
import { runtimeRoots } from '../../certs/files/roots.ts'
import { type FindPath, pathsTo } from '../../certs/x509/client-path.ts'
import { readCertificate } from '../../certs/x509/x509-read.ts'

/** The way to the CAs in this text. @param what it is, for errors */
export function lazyPathsTo(pem: string, what: string): () => FindPath {
  let find: FindPath | null = null
  return () => (find ??= pathsTo(certificateBlocks(pem, what).map(block => new X509Certificate(block))))
}

/** The way to the CAs of the runtime, which are read when a backend first needs them. */
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
