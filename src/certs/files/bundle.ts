/**
 * Certificate chains and keys from files, in two stages. `openBundle` reads the two files and looks for the PEM markers;
 * `load()` parses and checks everything, once, when the certificate is first needed.
 *
 * Measured with 10,000 bundles of leaf and intermediate on Bun 1.4.5, RSS above the runtime's 32 MB: P-256 (1.5 kB) open in
 * 0.07-0.1 s and 31 MB, and are all loaded in another 0.8-1.2 s and 90 MB; RSA (4.5 kB) in 0.08 s and 65 MB, 1.4-1.5 s and
 * 190 MB. These are quiet runs; with other work on the machine single ones took 1.3 s to open and 2.0 s (P-256) or 3.9 s
 * (RSA) to load. Node 26, one run, P-256: 0.16 s and 50 MB, 1.7 s and 75 MB. The first stage keeps the text: about 2 kB more
 * each than keeping only the paths, and a file that is replaced later cannot pair a new chain with an old key. What comes
 * after a change of the files is a bundle of its own: watched-pair.ts.
 *
 * A gateway with 10,000 sites of this kind, watched, 1.5 kB each (test/gateway/many-certificates.test.ts; three runs): on Bun
 * RSS is 151-152 MB, 2.5 s after its start and for good; on Node 26 372-398 MB.
 *
 * Invariants: after `load()` the key fits the leaf, the chain is in order, and the key is strong enough for today's
 * clients. An expired certificate is a warning, not an error: a gateway that does not start helps no one. Signatures in
 * the chain are the clients' to check; what is compared here are names and key identifiers.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { messageOf, UsageError } from '../../base/errors.ts'
import type { Bundle, KeyType } from '../../model/certificate.ts'
import { type LeafSummary, summaryOf, type Validity, validityOf } from '../x509/leaf.ts'
import { nameText } from '../x509/name-text.ts'
import { readCertificate } from '../x509/x509-read.ts'
import { type CheckOptions, checkSignatures, type Parsed, subjectOf, warningsOf } from './chain-checks.ts'
import { certificateBlocks, checkChainMarkers, checkKeyMarkers, keyBlock } from './pem.ts'
import { type PairText, readPair } from './stamped.ts'

/** Two files, or the same one twice where it holds both. */
export type BundleFiles = { readonly chainFile: string; readonly keyFile: string }

/** Texts that need not come from files; the names stand in errors and in Bundle.source. */
type BundleText = BundleFiles & { readonly chainPem: string; readonly keyPem: string }

export type BundleOptions = CheckOptions

/** Warnings begin with the file's name, like the errors. */
export type LoadedBundle = { readonly bundle: Bundle; readonly warnings: readonly string[] }

/** One object, and no closure: there may be ten thousand. */
export class OpenedBundle {
  /** Of both files as they were read, and whether a change right after that might not show in it: see stamped.ts */
  readonly stamp: number
  readonly young: boolean
  readonly digest: string | null
  private readonly options: BundleOptions
  private text: BundleText | null
  private result: LoadedBundle | null = null
  private failure: unknown = null

  constructor(
    text: BundleText,
    { stamp, young, digest }: Omit<PairText, 'chainText' | 'keyText'>,
    options: BundleOptions,
  ) {
    this.text = text
    this.stamp = stamp
    this.young = young
    this.digest = digest
    this.options = options
  }

  get loaded(): boolean {
    return this.result !== null
  }

  /** What the first certificate says, at a hundredth of what load() costs; null where it cannot be read */
  leaf(): LeafSummary | null {
    const chainPem = this.result?.bundle.chainPem ?? this.text?.chainPem
    return chainPem === undefined ? null : summaryOf(chainPem)
  }

  /** Less of it, for less */
  validity(): Validity | null {
    return this.result?.bundle ?? (this.text && validityOf(this.text.chainPem))
  }

  /** The full check. The first call does the work; later ones return the same object, or throw the same error. */
  load(): LoadedBundle {
    if (this.result) return this.result
    if (!this.text) throw this.failure
    try {
      return (this.result = parseBundle(this.text, this.options))
    } catch (error) {
      throw (this.failure = error)
    } finally {
      this.text = null
    }
  }
}

/** The cheap stage. Throws UsageError where a file is missing, is not PEM, or holds an encrypted key. */
export function openBundle(files: BundleFiles, options: BundleOptions = {}, withDigest = false): OpenedBundle {
  const { text, read } = readMarked(files, withDigest)
  return new OpenedBundle(text, read, options)
}

/** Both stages at once. */
export function readBundle(files: BundleFiles, options: BundleOptions = {}): LoadedBundle {
  return parseBundle(readMarked(files).text, options)
}

function readMarked(files: BundleFiles, withDigest = false): { text: BundleText; read: PairText } {
  const { chainFile, keyFile } = files
  const read = readPair(chainFile, keyFile, withDigest)
  const { chainText: chainPem, keyText: keyPem } = read
  checkChainMarkers(chainPem, chainFile)
  checkKeyMarkers(keyPem, keyFile)
  return { text: { chainFile, keyFile, chainPem, keyPem }, read }
}

/** The full check of texts that are already in memory. Throws UsageError. */
export function parseBundle(text: BundleText, options: BundleOptions = {}): LoadedBundle {
  const { chainFile, keyFile } = text
  checkChainMarkers(text.chainPem, chainFile)
  checkKeyMarkers(text.keyPem, keyFile)
  const blocks = certificateBlocks(text.chainPem, chainFile)
  const chain = blocks.map((block, index) => parseCertificate(block, chainFile, index + 1))
  const keyPem = keyBlock(text.keyPem, keyFile)
  const key = parseKey(keyPem, keyFile)
  const keyType = checkKey(key, keyFile)
  checkMatch(chain, key, text)
  checkOrder(chain, chainFile)
  const [{ x509, fields }] = chain
  const bundle: Bundle = {
    chainPem: blocks.join(''),
    keyPem,
    keyType,
    names: fields.names,
    notBefore: fields.notBefore,
    notAfter: fields.notAfter,
    fingerprint256: x509.fingerprint256,
    subject: nameText(fields.subjectDer),
    issuer: nameText(fields.issuerDer),
    source: chainFile,
    mustStaple: fields.mustStaple,
  }
  checkSignatures(chain, chainFile)
  return { bundle, warnings: warningsOf(chain, chainFile, options) }
}

function parseCertificate(pem: string, file: string, number: number): Parsed {
  try {
    const x509 = new X509Certificate(pem)
    return { x509, fields: readCertificate(x509.raw) }
  } catch (error) {
    throw new UsageError(`${file}: certificate ${number} is damaged: ${messageOf(error)}`)
  }
}

function parseKey(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw new UsageError(
      `${file}: the private key is damaged, or of a kind that this runtime does not know: ${messageOf(error)}`,
    )
  }
}

/** Curves that TLS 1.3 has signature schemes for (RFC 8446 section 4.2.3), by OpenSSL's names. */
const curves: Readonly<Record<string, true>> = { prime256v1: true, secp384r1: true, secp521r1: true }

/** Browsers and OpenSSL's default security level refuse less. */
const leastRsaBits = 2048

function checkKey(key: KeyObject, file: string): KeyType {
  const details = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'rsa': {
      const bits = details.modulusLength ?? 0
      if (bits >= leastRsaBits) return 'rsa'
      throw new UsageError(`${file}: the RSA key has ${bits} bits, and at least ${leastRsaBits} are needed`)
    }
    case 'ec':
      if (curves[details.namedCurve ?? '']) return 'ecdsa'
      throw new UsageError(
        `${file}: the curve ${details.namedCurve} has no place in TLS; use P-256, P-384 or P-521`,
      )
    case 'ed25519':
      return 'ed25519'
    default:
      throw new UsageError(
        `${file}: a key of type ${key.asymmetricKeyType} cannot be used; use ECDSA, RSA or Ed25519`,
      )
  }
}

function checkMatch(chain: readonly Parsed[], key: KeyObject, { chainFile, keyFile }: BundleFiles): void {
  const index = chain.findIndex(({ x509 }) => x509.checkPrivateKey(key))
  if (index === 0) return
  if (index > 0) {
    throw new UsageError(
      `${chainFile}: the certificate of ${keyFile} is number ${index + 1} (${subjectOf(chain[index])}); the leaf must come ` +
        `first, before ${subjectOf(chain[0])}`,
    )
  }
  throw new UsageError(
    `${keyFile}: the private key does not belong to ${subjectOf(chain[0])}, the first certificate in ${chainFile}`,
  )
}

/** RFC 8446 section 4.4.2: each certificate should be certified by the one that follows. */
function checkOrder(chain: readonly Parsed[], file: string): void {
  for (let index = 0; index + 1 < chain.length; index++) {
    const [{ fields: child }, { fields: parent }] = [chain[index], chain[index + 1]]
    if (!child.issuerDer.equals(parent.subjectDer)) {
      const where = chain.findIndex(({ fields }) => fields.subjectDer.equals(child.issuerDer))
      const hint =
        where < 0
          ? 'which is not in the file'
          : where === index
            ? 'so it is self-signed and must come last'
            : `which is certificate ${where + 1}`
      throw new UsageError(
        `${file}: the chain is out of order: certificate ${index + 1} (${subjectOf(chain[index])}) is issued by ` +
          `${nameText(child.issuerDer)}, ${hint}, but certificate ${index + 2} is ${subjectOf(chain[index + 1])}`,
      )
    }
    // After a CA has changed its key, the old intermediate has the right name and the wrong key.
    if (child.authorityKeyId && parent.subjectKeyId && !child.authorityKeyId.equals(parent.subjectKeyId)) {
      throw new UsageError(
        `${file}: certificate ${index + 2} (${subjectOf(chain[index + 1])}) has the name of the issuer of certificate ` +
          `${index + 1}, but another key (${parent.subjectKeyId.toString('hex')}, not ${child.authorityKeyId.toString('hex')})`,
      )
    }
  }
}
