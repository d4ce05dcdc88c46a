/**
 * The local certificate authority: made at the first start, kept under the state folder, and what `certificate: local`
 * gets its certificates from.
 *
 * Invariants: the folder `local-ca` comes into being with both files in it or not at all (it is filled under another name and
 * renamed), so of several processes that start at once one wins and the others read what it wrote. A key is never
 * overwritten, and a damaged file is an error that names it. The one thing that is replaced is a certificate whose validity
 * has not begun: it was made while the clock ran ahead, no client accepts it, and the same key gets a new one. The key
 * never leaves this module except into its file.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { modeWarnings, syncFolder, writeSynced } from '../../base/durable.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import type { Bundle } from '../../model/certificate.ts'
import { certificateBlocks, checkChainMarkers, checkKeyMarkers, keyBlock, readText } from '../files/pem.ts'
import { nameText } from '../x509/name-text.ts'
import { sortNames } from '../x509/names.ts'
import { buildCertificate, keyId, maxCommonName } from '../x509/x509-build.ts'
import { type CertificateFields, readCertificate } from '../x509/x509-read.ts'

export type LocalCa = {
  readonly certificatePem: string
  /** SHA-256, upper-case hex pairs with colons */
  readonly fingerprint256: string
  readonly subject: string
  /** Milliseconds since 1970 */
  readonly notAfter: number
  /** Absolute path of the certificate; null for a CA that is only in memory */
  readonly file: string | null
  /** What an operator should know, such as a key that others can read */
  readonly warnings: readonly string[]
  /**
   * A new key and certificate for these host names and IP addresses (wildcards allowed), about 0.1 ms.
   * Throws RangeError for a name that is neither. The chain is the leaf alone: who trusts the CA has it.
   */
  issue(names: readonly string[]): Bundle
}

export type CaPair = { readonly certificatePem: string; readonly keyPem: string }

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const caDays = 3650
/** Short enough for every browser's limit on leaf lifetimes. */
const leafDays = 90
/** Clocks of clients run behind; nothing we issue is refused for being an hour too new. */
const backdateMs = hourMs
const soonDays = 30

/** CAs that are made here; those made elsewhere are left as they are. */
const organization = 'Sallyport local CA'

/** A new CA, in memory. ECDSA P-256, ten years. */
export function createCa(options: { readonly commonName?: string; readonly now?: number } = {}): CaPair {
  const { now = Date.now() } = options
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  // The key's identifier in the name keeps two CAs in one trust store apart: NSS looks issuers up by name.
  const commonName = options.commonName ?? `Sallyport local CA ${keyId(publicKey).toString('hex').slice(0, 8)}`
  const certificatePem = certificateFor({ organization, commonName }, publicKey, privateKey, now)
  return { certificatePem, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

function certificateFor(
  subject: { readonly organization: string; readonly commonName: string } | Buffer,
  publicKey: KeyObject,
  signingKey: KeyObject,
  now: number,
): string {
  const { pem } = buildCertificate({
    subject,
    issuer: subject,
    publicKey,
    signingKey,
    notBefore: now - backdateMs,
    notAfter: now + caDays * dayMs,
    isCa: true,
    pathLength: 0,
    keyUsage: ['keyCertSign', 'cRLSign'],
  })
  return pem
}

/** The CA of a pair that is in memory, such as createCa() returns. */
export function memoryCa(pair: CaPair): LocalCa {
  return localCa(parsePair(pair, 'the CA certificate', 'the CA key', Date.now()), null, [], Date.now)
}

/**
 * Reads `local-ca/` in the state folder, or makes it. Throws UsageError.
 * @param clock milliseconds since 1970
 */
export function openLocalCa(stateFolder: string, clock: () => number = Date.now): LocalCa {
  const folder = path.resolve(stateFolder, 'local-ca')
  const file = path.join(folder, 'ca.pem')
  const keyFile = path.join(folder, 'ca.key')
  if (!existsSync(file) && !existsSync(keyFile)) createFolder(folder, clock())
  const pair = { certificatePem: readPart(file, folder), keyPem: readPart(keyFile, folder) }
  const now = clock()
  let parsed = parsePair(pair, file, keyFile, now)
  if (notYetValid(parsed, now)) parsed = replaceCertificate(parsed, file, now)
  const warnings = modeWarnings(keyFile, 'any site to those who trust the local CA')
  const days = Math.floor((parsed.fields.notAfter - now) / dayMs)
  if (days < soonDays) warnings.push(`${file}: the local CA expires in ${days} days`)
  if (parsed.fields.notBefore > now) warnings.push(`${file}: the local CA is not valid yet; is the clock right?`)
  return localCa(parsed, file, warnings, clock)
}

/** Made here while the clock ran ahead. */
const notYetValid = ({ fields }: ParsedPair, now: number): boolean =>
  fields.notBefore > now && fields.subjectDer.includes(organization)

/** The same name and key with a validity that has begun, written over the old certificate. */
function replaceCertificate(old: ParsedPair, file: string, now: number): ParsedPair {
  const pem = certificateFor(old.fields.subjectDer, createPublicKey(old.key), old.key, now)
  const draft = `${file}.new-${process.pid}`
  try {
    writeSynced(draft, pem, 0o644)
    renameSync(draft, file)
    syncFolder(path.dirname(file))
  } catch (error) {
    rmSync(draft, { force: true })
    throw new UsageError(
      `${file}: was made while the clock ran ahead and is not valid yet, and it cannot be replaced: ${messageOf(error)}`,
    )
  }
  const x509 = new X509Certificate(pem)
  return { pem, x509, fields: readCertificate(x509.raw), key: old.key }
}

function readPart(file: string, folder: string): string {
  if (!existsSync(file)) {
    throw new UsageError(
      `${file}: does not exist, though ${folder} does; restore it, or remove the folder for a new CA`,
    )
  }
  return readText(file)
}

/** Makes the folder with both files in it. Returns quietly where another process was faster. */
function createFolder(folder: string, now: number): void {
  const state = path.dirname(folder)
  let draft: string | null = null
  try {
    mkdirSync(state, { recursive: true, mode: 0o700 })
    draft = mkdtempSync(`${folder}.new-`)
    const pair = createCa({ now })
    writeSynced(path.join(draft, 'ca.key'), pair.keyPem, 0o600)
    writeSynced(path.join(draft, 'ca.pem'), pair.certificatePem, 0o644)
    syncFolder(draft)
    // A folder can be renamed onto nothing or onto an empty folder; onto a full one is ENOTEMPTY or EEXIST.
    renameSync(draft, folder)
    draft = null
    syncFolder(state)
  } catch (error) {
    if (existsSync(path.join(folder, 'ca.key'))) return
    throw new UsageError(
      `${folder}: cannot make the local CA: ${messageOf(error)}; is 'state' a folder we may write to?`,
    )
  } finally {
    if (draft !== null) rmSync(draft, { recursive: true, force: true })
  }
}

type ParsedPair = {
  readonly pem: string
  readonly x509: X509Certificate
  readonly fields: CertificateFields
  readonly key: KeyObject
}

function parsePair(pair: CaPair, file: string, keyFile: string, now: number): ParsedPair {
  checkChainMarkers(pair.certificatePem, file)
  checkKeyMarkers(pair.keyPem, keyFile)
  const blocks = certificateBlocks(pair.certificatePem, file)
  if (blocks.length !== 1)
    throw new UsageError(`${file}: holds ${blocks.length} certificates, but the local CA is a single one`)
  const [pem] = blocks
  const x509 = attempt(file, 'the certificate is damaged', () => new X509Certificate(pem))
  const fields = attempt(file, 'the certificate is damaged', () => readCertificate(x509.raw))
  const key = attempt(keyFile, 'the private key is damaged', () => createPrivateKey(keyBlock(pair.keyPem, keyFile)))
  if (!x509.checkPrivateKey(key)) throw new UsageError(`${keyFile}: the private key does not belong to ${file}`)
  if (!fields.isCa) throw new UsageError(`${file}: is not the certificate of a CA (basicConstraints)`)
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
    throw new UsageError(`${keyFile}: the local CA signs with an ECDSA or RSA key, not ${key.asymmetricKeyType}`)
  }
  if (now > fields.notAfter) {
    const day = new Date(fields.notAfter).toISOString().slice(0, 10)
    throw new UsageError(
      `${file}: the local CA expired on ${day}; remove the folder to get a new one, which must then be trusted again`,
    )
  }
  return { pem, x509, fields, key }
}

function attempt<T>(file: string, problem: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${file}: ${problem}: ${messageOf(error)}`)
  }
}

function localCa(
  parsed: ParsedPair,
  file: string | null,
  warnings: readonly string[],
  clock: () => number,
): LocalCa {
  const { pem, x509, fields, key } = parsed
  const subject = nameText(fields.subjectDer)
  // The clock may be corrected while the process runs: leaves are issued below a certificate that is valid then.
  let current = parsed
  const issuer = (now: number): CertificateFields => {
    if (file !== null && notYetValid(current, now)) current = replaceCertificate(current, file, now)
    return current.fields
  }
  return {
    certificatePem: pem,
    fingerprint256: x509.fingerprint256,
    subject,
    notAfter: fields.notAfter,
    file,
    warnings,
    issue: names => {
      const now = clock()
      return issueLeaf(names, key, issuer(now), subject, now)
    },
  }
}

function issueLeaf(
  names: readonly string[],
  signingKey: KeyObject,
  ca: CertificateFields,
  issuer: string,
  now: number,
): Bundle {
  const { dnsNames, ipAddresses } = sortNames(names)
  const [first] = [...dnsNames, ...ipAddresses]
  if (first === undefined) throw new RangeError('a certificate needs at least one name')
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { der, pem } = buildCertificate({
    // The name is for people; clients look at subjectAltName only.
    subject: first.length <= maxCommonName ? { commonName: first } : {},
    issuer: ca.subjectDer,
    publicKey,
    signingKey,
    // A leaf does not outlive its issuer.
    notBefore: Math.max(now - backdateMs, ca.notBefore),
    notAfter: Math.min(now + leafDays * dayMs, ca.notAfter),
    dnsNames,
    ipAddresses,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['serverAuth'],
    authorityKeyId: ca.subjectKeyId ?? undefined,
  })
  const leaf = readCertificate(der)
  return {
    chainPem: pem,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    keyType: 'ecdsa',
    names: leaf.names,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    fingerprint256: new X509Certificate(der).fingerprint256,
    subject: nameText(leaf.subjectDer),
    issuer,
    source: 'local CA',
  }
}
