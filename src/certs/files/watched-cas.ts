/**
 * A PEM file with the CAs that somebody is verified by, which may be replaced while it is used: a trust bundle that is
 * rotated. `look()` compares stamps, which costs one stat; whoever owns the file calls it.
 *
 * Invariant: what is in force is a file that was read whole, with at least one certificate, all of which can be parsed.
 * Anything else leaves in force what was, and is told once, when it lasts.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { messageOf, UsageError } from '../../base/errors.ts'
import { nameText } from '../x509/name-text.ts'
import { weakKey } from '../x509/weakness.ts'
import { readCertificate } from '../x509/x509-read.ts'
import { certificateBlocks, checkChainMarkers } from './pem.ts'
import { ProblemDebounce } from './problem-debounce.ts'
import { readStamped, stampOf } from './stamped.ts'

export type CasLook =
  | { readonly kind: 'same' }
  | { readonly kind: 'replaced'; readonly subjects: readonly string[] }
  /** What is in the file cannot be used, for a reason that was not told yet */
  | { readonly kind: 'broken'; readonly why: string }
  | { readonly kind: 'mended' }

/** Changes with every change of what is in force. */
export type Cas = {
  /** The certificates and nothing else */
  readonly pem: string
  /** SHA-256 of `pem` */
  readonly digest: string
  readonly subjects: readonly string[]
  /** Those with keys that are too weak for anything below them to count, and why */
  readonly weak: readonly string[]
}

const same: CasLook = { kind: 'same' }

export class WatchedCas {
  readonly file: string
  /** What is in force */
  current: Cas
  private stamp: number
  private young: boolean
  private readonly problem = new ProblemDebounce()

  /** Throws UsageError where the file cannot be used. */
  constructor(file: string) {
    this.file = file
    const { cas, stamp, young } = read(file)
    this.current = cas
    this.stamp = stamp
    this.young = young
  }

  /** Looks at the file, and takes over what changed. One that could not be used is read again every time. */
  look(now = Date.now()): CasLook {
    if (this.problem.why === null && !this.young && stampOf(this.file) === this.stamp) return same
    try {
      const { cas, stamp, young } = read(this.file)
      this.stamp = stamp
      this.young = young
      if (cas.digest === this.current.digest) return this.problem.mended() ? { kind: 'mended' } : same
      this.current = cas
      this.problem.mended()
      return { kind: 'replaced', subjects: cas.subjects }
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      return this.problem.broken(error.message, now) ? { kind: 'broken', why: error.message } : same
    }
  }

  /** Takes over what is in the file now; throws UsageError with what is wrong with it, and what is in force stays. */
  refresh(now = Date.now()): CasLook {
    const look = this.look(now)
    if (this.problem.why !== null) throw new UsageError(this.problem.why)
    return look
  }
}

function read(file: string): { cas: Cas; stamp: number; young: boolean } {
  const { text, stamp, young } = readStamped(file)
  checkChainMarkers(text, file)
  const blocks = certificateBlocks(text, file)
  const weak: string[] = []
  const subjects = blocks.map((block, index) => {
    try {
      // Both readers: the one that verifies, and the one that says who it is.
      const x509 = new X509Certificate(block)
      const subject = nameText(readCertificate(x509.raw).subjectDer)
      const weakness = weakKey(x509)
      if (weakness !== null) weak.push(`${subject} ${weakness}`)
      return subject
    } catch (error) {
      throw new UsageError(`${file}: certificate ${index + 1} cannot be read: ${messageOf(error)}`)
    }
  })
  const pem = blocks.join('')
  return { cas: { pem, digest: createHash('sha256').update(pem).digest('base64'), subjects, weak }, stamp, young }
}
