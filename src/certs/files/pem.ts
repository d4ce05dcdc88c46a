/**
 * PEM files as people have them: a chain, a key, or both in one file, with text around them (RFC 7468).
 * Every refusal is a UsageError that begins with the file's name and says what to do.
 */
import { readFileSync } from 'node:fs'
import { UsageError } from '../../base/errors.ts'
import { checkKeyKind } from './key-kind.ts'
import { readProblem } from './stamped.ts'

/** The text of a file, one character a byte: half the memory of UTF-16, and PEM is ASCII. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch (error) {
    throw new UsageError(`${file}: ${readProblem(error)}`)
  }
}

/** Cheap: looks for the markers only. `parseBundle` finds what is wrong between them. */
export function checkChainMarkers(text: string, file: string): void {
  if (text.includes('-----BEGIN CERTIFICATE-----')) return
  if (text.includes('PRIVATE KEY-----')) {
    throw new UsageError(`${file}: holds a private key and no certificate; are chain and key swapped?`)
  }
  throw new UsageError(`${file}: ${notPem(text, 'certificate', 'openssl x509 -inform DER')}`)
}

/** A file of CAs to be trusted, as text. Throws UsageError where it holds none: nobody would be trusted by it, and nothing say why. */
export function readCaText(file: string): string {
  const text = readText(file)
  checkChainMarkers(text, file)
  certificateBlocks(text, file)
  return text
}

/** Cheap, as above; an encrypted key is refused here already. */
export function checkKeyMarkers(text: string, file: string): void {
  if (text.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----') || text.includes('Proc-Type: 4,ENCRYPTED')) {
    const quoted = shellQuote(file)
    throw new UsageError(
      `${file}: the private key is encrypted, and the gateway cannot ask for its passphrase; decrypt it with: ` +
        `(umask 077; openssl pkey -in ${quoted} -out ${shellQuote(`${file}.plain`)})`,
    )
  }
  if (text.includes('PRIVATE KEY-----')) return
  if (text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new UsageError(`${file}: holds a certificate and no private key; are chain and key swapped?`)
  }
  throw new UsageError(`${file}: ${notPem(text, 'private key', 'openssl pkey -inform DER')}`)
}

function notPem(text: string, wanted: string, convert: string): string {
  if (text.length === 0) return 'is empty'
  if (text.charCodeAt(0) === 0x30) return `is DER or PKCS #12, not PEM; convert it, for DER with: ${convert}`
  return `holds no PEM ${wanted} (no line "-----BEGIN ${wanted.toUpperCase()}-----")`
}

/** The certificates of a file, each as a PEM text of its own. */
export function certificateBlocks(text: string, file: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const begun = text.split('-----BEGIN CERTIFICATE-----').length - 1
  if (blocks.length !== begun)
    throw new UsageError(`${file}: a certificate is cut off (its "-----END" line is missing)`)
  return blocks.map(block => `${block}\n`)
}

/** The one private key of a file, of a kind that can be used. `EC PARAMETERS` before it, as openssl ecparam writes them, are passed over. */
export function keyBlock(text: string, file: string): string {
  const blocks = text.match(/-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----[^-]*-----END \1-----/g) ?? []
  if (blocks.length > 1) throw new UsageError(`${file}: holds ${blocks.length} private keys; keep only one`)
  if (blocks.length === 0)
    throw new UsageError(`${file}: the private key is cut off, or of a type that TLS servers do not use`)
  checkKeyKind(blocks[0] as string, file)
  return `${blocks[0]}\n`
}

/** A word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
