/** Paths to the CAs that TLS of this runtime trusts where none are given. */
import { runtimeRoots } from '../../certs/files/roots.ts'
import { type FindPath, pathsTo } from '../../certs/x509/client-path.ts'
import { readCertificate } from '../../certs/x509/x509-read.ts'

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
