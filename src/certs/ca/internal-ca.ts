/**
 * The internal CA: a root that is trusted, and an intermediate that signs, under `internal-ca` in the state folder; or an
 * intermediate of the operator's own. Unlike the local CA (local-ca.ts), which serves a developer's browser, it keeps a
 * record of what it issued and can take it back.
 *
 * Invariants: the folder comes into being with all four files or not at all, and nothing in it is ever overwritten. The
 * root's key is used once, when the intermediate is made: it may be moved away. No certificate outlives the intermediate.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { modeWarnings, syncFolder, writeSynced } from '../../base/durable.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import { certificateBlocks, checkChainMarkers, checkKeyMarkers, keyBlock, readText } from '../files/pem.ts'
import { constraintOf, type ReadConstraints, readNameConstraints } from '../x509/name-constraints.ts'
import { nameText } from '../x509/name-text.ts'
import { buildCertificate, keyId, maxCommonName } from '../x509/x509-build.ts'
import { type CertificateFields, readCertificate } from '../x509/x509-read.ts'

export type InternalCa = {
  readonly folder: string
  /** What clients must trust; null for an intermediate of the operator's own */
  readonly rootFile: string | null
  /** Where the certificate that signs is */
  readonly chainFile: string
  /** Certificates between a leaf and the root, PEM, the signing one first */
  readonly chainPem: string
  readonly signer: { readonly key: KeyObject; readonly fields: CertificateFields; readonly keyId: Buffer }
  readonly subject: string
  /** Milliseconds since 1970 */
  readonly notAfter: number
  /** Of the chain, all of which must permit a name */
  readonly constraints: readonly ReadConstraints[]
  readonly warnings: readonly string[]
}

type CaFiles = { readonly chainFile: string; readonly keyFile: string }

const dayMs = 86_400_000
const rootDays = 3650
const intermediateDays = 1825
/** Clocks of clients run behind. */
const backdateMs = 3_600_000
const soonDays = 60

export const internalCaFolder = (state: string): string => path.resolve(state, 'internal-ca')

/** Makes root and intermediate. Throws UsageError, also where they are there. @param names as in name-constraints.ts */
export function initInternalCa(
  state: string,
  options: { readonly name: string; readonly names: readonly string[]; readonly now?: number },
): void {
  const folder = internalCaFolder(state)
  const { name } = options
  if (
    name.trim() === '' ||
    [...`${name} intermediate 00000000`].length > maxCommonName ||
    /[\x00-\x1f\x7f]/.test(name)
  )
    throw new UsageError(`--name is 1 to ${maxCommonName - 22} characters, and none of them a control character`)
  const permitted = options.names.map(each => {
    try {
      return constraintOf(each)
    } catch (error) {
      throw new UsageError(`--names: ${messageOf(error)}`)
    }
  })
  if (existsSync(path.join(folder, 'root.pem')) || existsSync(path.join(folder, 'intermediate.pem')))
    throw new UsageError(
      `${folder}: there is a CA already, and it is never overwritten; move the folder away for a new one`,
    )
  let draft: string | null = null
  try {
    mkdirSync(path.dirname(folder), { recursive: true, mode: 0o700 })
    draft = mkdtempSync(`${folder}.new-`)
    for (const [file, text, mode] of makeFiles(name, permitted, options.now ?? Date.now()))
      writeSynced(path.join(draft, file), text, mode)
    syncFolder(draft)
    // Onto nothing or an empty folder; a full one (records of an own intermediate, another process) is an error.
    renameSync(draft, folder)
    draft = null
    syncFolder(path.dirname(folder))
  } catch (error) {
    const full = existsSync(folder) && readdirSync(folder).length > 0
    const why = full ? 'the folder is there and not empty' : messageOf(error)
    throw new UsageError(`${folder}: cannot make the CA: ${why}`)
  } finally {
    if (draft !== null) rmSync(draft, { recursive: true, force: true })
  }
}

function makeFiles(name: string, permitted: readonly string[], now: number): (readonly [string, string, number])[] {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const intermediate = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  // The key's identifier in the name keeps two CAs in one trust store apart: NSS looks issuers up by name.
  const id = (key: KeyObject) => keyId(key).toString('hex').slice(0, 8)
  const subject = { organization: name, commonName: `${name} root ${id(root.publicKey)}` }
  const shared = { issuer: subject, signingKey: root.privateKey, notBefore: now - backdateMs, isCa: true } as const
  const rootPem = buildCertificate({
    ...shared,
    subject,
    publicKey: root.publicKey,
    notAfter: now + rootDays * dayMs,
    pathLength: 1,
    keyUsage: ['keyCertSign', 'cRLSign'],
  }).pem
  const intermediatePem = buildCertificate({
    ...shared,
    subject: { organization: name, commonName: `${name} intermediate ${id(intermediate.publicKey)}` },
    publicKey: intermediate.publicKey,
    notAfter: now + intermediateDays * dayMs,
    pathLength: 0,
    keyUsage: ['keyCertSign', 'cRLSign'],
    nameConstraints: permitted.length > 0 ? { permitted } : undefined,
  }).pem
  const keyText = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
  return [
    ['root.key', keyText(root.privateKey), 0o600],
    ['intermediate.key', keyText(intermediate.privateKey), 0o600],
    ['intermediate.pem', intermediatePem, 0o644],
    ['root.pem', rootPem, 0o644],
  ]
}

/** @param own an intermediate of the operator's own, in place of the one in the state folder. Throws UsageError. */
export function openInternalCa(state: string, own: CaFiles | null): InternalCa {
  const folder = internalCaFolder(state)
  const rootFile = own === null ? path.join(folder, 'root.pem') : null
  const chainFile = own?.chainFile ?? path.join(folder, 'intermediate.pem')
  const keyFile = own?.keyFile ?? path.join(folder, 'intermediate.key')
  if (own === null && !existsSync(chainFile))
    throw new UsageError(`${folder}: there is no internal CA yet; make one with: sallyport ca init`)
  const chainText = readText(chainFile)
  const keyPem = readText(keyFile)
  checkChainMarkers(chainText, chainFile)
  checkKeyMarkers(keyPem, keyFile)
  const blocks = certificateBlocks(chainText, chainFile)
  const chain = blocks.map(pem => attempt(chainFile, () => readCertificate(new X509Certificate(pem).raw)))
  const signer = chain[0] as CertificateFields
  const key = attempt(keyFile, () => createPrivateKey(keyBlock(keyPem, keyFile)))
  const x509 = new X509Certificate(blocks[0] as string)
  if (!x509.checkPrivateKey(key))
    throw new UsageError(`${keyFile}: the private key does not belong to ${chainFile}`)
  if (!signer.isCa) throw new UsageError(`${chainFile}: is not the certificate of a CA (basicConstraints)`)
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa')
    throw new UsageError(`${keyFile}: the CA signs with an ECDSA or RSA key, not ${key.asymmetricKeyType}`)
  chain.forEach((each, at) => {
    const above = chain[at + 1]
    if (above !== undefined && !each.issuerDer.equals(above.subjectDer))
      throw new UsageError(
        `${chainFile}: certificate ${at + 2} did not issue the one before it; the signing one comes first`,
      )
  })
  const now = Date.now()
  const days = Math.floor((signer.notAfter - now) / dayMs)
  if (days < 0)
    throw new UsageError(`${chainFile}: the CA expired on ${new Date(signer.notAfter).toISOString().slice(0, 10)}`)
  const warnings = modeWarnings(keyFile, 'every service of the internal CA')
  if (days < soonDays) warnings.push(`${chainFile}: the CA ends in ${days} days`)
  if (signer.notBefore > now) {
    const begins = new Date(signer.notBefore).toISOString()
    warnings.push(
      `${chainFile}: the CA is not valid before ${begins} and issues nothing until then; where it was made while the clock ran ` +
        'ahead, move the folder away and make it again with: sallyport ca init',
    )
  }
  const above = blocks.filter((_, at) => at === 0 || !isSelfSigned(chain[at] as CertificateFields))
  return {
    folder,
    rootFile,
    chainFile,
    chainPem: above.join(''),
    signer: { key, fields: signer, keyId: signer.subjectKeyId ?? keyId(key) },
    subject: nameText(signer.subjectDer),
    notAfter: signer.notAfter,
    constraints: chain.flatMap(each =>
      each.nameConstraints === null ? [] : [readNameConstraints(each.nameConstraints)],
    ),
    warnings,
  }
}

const isSelfSigned = (fields: CertificateFields) => fields.subjectDer.equals(fields.issuerDer)

function attempt<T>(file: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${file}: is damaged: ${messageOf(error)}`)
  }
}
