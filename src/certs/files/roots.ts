/** The root certificates that this machine knows, by their subjects: for finding chains that end too soon. */
import { X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import { readCertificate } from '../x509/x509-read.ts'

export type IsRoot = (subjectDer: Buffer) => boolean

/**
 * Reads the runtime's own list (Mozilla's) at the first question, 3-10 ms, and the system's store where the answer is not
 * in there.
 */
export function knownRoots(): IsRoot {
  let bundled: ReadonlySet<string> | null = null
  let system: ReadonlySet<string> | null = null
  return subjectDer => {
    const subject = subjectDer.toString('latin1')
    bundled ??= subjectsOf(tls.rootCertificates)
    if (bundled.has(subject)) return true
    system ??= subjectsOf(systemRoots())
    return system.has(subject)
  }
}

/**
 * The CAs that TLS of this runtime trusts where none are given, by their subjects; one that cannot be read is left out. There are
 * some 150, of which a chain needs one: reading their names takes 3-10 ms, once, and each is parsed when it is asked for.
 */
export function runtimeRoots(): (subjectDer: Buffer) => X509Certificate[] {
  const bySubject = new Map<string, Buffer[]>()
  for (const pem of defaultRoots()) {
    const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64')
    try {
      const subject = readCertificate(der).subjectDer.toString('latin1')
      bySubject.set(subject, [...(bySubject.get(subject) ?? []), der])
    } catch {
      // As above.
    }
  }
  return subjectDer => (bySubject.get(subjectDer.toString('latin1')) ?? []).map(der => new X509Certificate(der))
}

function defaultRoots(): readonly string[] {
  try {
    return tls.getCACertificates('default')
  } catch {
    return tls.rootCertificates
  }
}

function systemRoots(): readonly string[] {
  try {
    return tls.getCACertificates('system')
  } catch {
    return []
  }
}

function subjectsOf(certificates: readonly string[]): Set<string> {
  const subjects = new Set<string>()
  for (const pem of certificates) {
    const body = pem.replace(/-----[^-]+-----/g, '')
    try {
      subjects.add(readCertificate(Buffer.from(body, 'base64')).subjectDer.toString('latin1'))
    } catch {
      // A root that cannot be read is one that nobody can be sure of.
    }
  }
  return subjects
}
