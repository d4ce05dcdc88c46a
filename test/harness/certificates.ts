/**
 * Certificates for tests: real ones, signed by a CA of the test's own, written to files that go when the process ends.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createCa } from '../../src/certs/ca/local-ca.ts'
import * as der from '../../src/certs/x509/der.ts'
import { sortNames } from '../../src/certs/x509/names.ts'
import {
  buildCertificate,
  type DistinguishedName,
  type ExtendedKeyUsage,
  extension,
} from '../../src/certs/x509/x509-build.ts'
import { readCertificate } from '../../src/certs/x509/x509-read.ts'

const dayMs = 86_400_000

export type TestCa = {
  readonly certificatePem: string
  readonly keyPem: string
  /** The certificate in a file, for `--cacert` and `ca:` */
  readonly file: string
  readonly subjectDer: Buffer
  readonly keyId: Buffer
  readonly key: KeyObject
  /** The chain above a leaf of this CA that a server must send: empty for a root */
  readonly above: string
}

export type IssueOptions = {
  readonly rsa?: boolean
  readonly ed25519?: boolean
  /** Bits of an RSA key, 2048 when left out */
  readonly rsaBits?: number
  /** Validity from now, 30 when left out */
  readonly days?: number
  /** Ended yesterday */
  readonly expired?: boolean
  /** Begins tomorrow */
  readonly future?: boolean
  readonly subject?: DistinguishedName
  /** DNS names beside the others, taken as they are: no CA should, and a file may hold anything */
  readonly oddNames?: readonly string[]
  /** URIs of subjectAltName */
  readonly uris?: readonly string[]
  /** serverAuth when left out */
  readonly use?: readonly ExtendedKeyUsage[]
  /** Of the OCSP responder */
  readonly ocspUrl?: string
  readonly mustStaple?: boolean
  /** As they are */
  readonly extensions?: readonly Buffer[]
}

export type IssuedFiles = {
  readonly folder: string
  readonly chainFile: string
  readonly keyFile: string
  readonly chainPem: string
  readonly keyPem: string
  readonly names: readonly string[]
}

const folders = new Set<string>()

process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** An empty folder under the system's temporary one; removed with the process. */
export function temporaryFolder(prefix = 'sallyport-test-'): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), prefix))
  folders.add(folder)
  return folder
}

/** As whoever replaces a file should: nobody ever reads half of it. */
export function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

export function testCa(commonName = 'Sallyport test CA'): TestCa {
  const { certificatePem, keyPem } = createCa({ commonName })
  return caOf(certificatePem, keyPem, '')
}

/** A CA below another. The root must allow it: make the root with `rootCa()`, since testCa() has a path length of 0. */
export function intermediateCa(parent: TestCa, commonName = 'Sallyport test intermediate'): TestCa {
  return subordinate(parent, commonName, 0)
}

/** A root that may have one CA below it. */
export function rootCa(commonName = 'Sallyport test root'): TestCa {
  return subordinate(null, commonName, 1)
}

function subordinate(parent: TestCa | null, commonName: string, pathLength: number): TestCa {
  const { publicKey, privateKey } = newKeys({})
  const now = Date.now()
  const subject = { organization: 'Sallyport tests', commonName }
  const { pem } = buildCertificate({
    subject,
    issuer: parent?.subjectDer ?? subject,
    publicKey,
    signingKey: parent?.key ?? privateKey,
    notBefore: now - dayMs,
    notAfter: now + 365 * dayMs,
    isCa: true,
    pathLength,
    keyUsage: ['keyCertSign', 'cRLSign'],
    authorityKeyId: parent?.keyId,
  })
  return caOf(pem, keyText(privateKey), parent ? pem + parent.above : '')
}

function caOf(certificatePem: string, keyPem: string, above: string): TestCa {
  const fields = readCertificate(new X509Certificate(certificatePem).raw)
  const file = path.join(temporaryFolder(), 'ca.pem')
  writeFileSync(file, certificatePem)
  const { subjectDer, subjectKeyId } = fields
  return { certificatePem, keyPem, file, subjectDer, keyId: subjectKeyId!, key: createPrivateKey(keyPem), above }
}

/** A certificate of `ca` for these names (IP addresses too), as chain.pem and key.pem in a folder of their own. */
export function issueFiles(ca: TestCa, names: readonly string[], options: IssueOptions = {}): IssuedFiles {
  const { publicKey, privateKey } = newKeys(options)
  const pem = leaf(names, options, publicKey, ca.key, ca)
  return write(pem + ca.above, keyText(privateKey), names)
}

/** A certificate that shows who a client is: EKU clientAuth, and the name only in the subject. */
export function issueClientFiles(ca: TestCa, commonName: string, options: IssueOptions = {}): IssuedFiles {
  return issueFiles(ca, [], {
    use: ['clientAuth'],
    subject: { organization: 'Sallyport tests', commonName },
    ...options,
  })
}

/** A certificate that only its own key vouches for. */
export function selfSignedFiles(names: readonly string[], options: IssueOptions = {}): IssuedFiles {
  const { publicKey, privateKey } = newKeys(options)
  return write(leaf(names, options, publicKey, privateKey, null), keyText(privateKey), names)
}

export function expiredFiles(ca: TestCa, names: readonly string[]): IssuedFiles {
  return issueFiles(ca, names, { expired: true })
}

/** Good in every way, except that it is for `wrong.invalid`. */
export function wrongNameFiles(ca: TestCa): IssuedFiles {
  return issueFiles(ca, ['wrong.invalid'])
}

function leaf(
  names: readonly string[],
  options: IssueOptions,
  publicKey: KeyObject,
  signingKey: KeyObject,
  ca: TestCa | null,
): string {
  const now = Date.now()
  const { rsa = false, days = 30, expired = false, future = false, use = ['serverAuth'] } = options
  const subject = options.subject ?? (names[0] === undefined ? {} : { commonName: names[0] })
  const { dnsNames, ipAddresses } = sortNames(names)
  return buildCertificate({
    dnsNames: [...dnsNames, ...(options.oddNames ?? [])],
    ipAddresses,
    uris: options.uris,
    subject,
    issuer: ca?.subjectDer ?? subject,
    publicKey,
    signingKey,
    notBefore: future ? now + dayMs : expired ? now - 30 * dayMs : now - 3_600_000,
    notAfter: future ? now + 30 * dayMs : expired ? now - dayMs : now + days * dayMs,
    keyUsage: rsa ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature'],
    extendedKeyUsage: use,
    authorityKeyId: ca?.keyId,
    otherExtensions: ocspExtensions(options),
  }).pem
}

function ocspExtensions({ ocspUrl, mustStaple, extensions = [] }: IssueOptions): Buffer[] {
  const list: Buffer[] = [...extensions]
  if (ocspUrl !== undefined) {
    const location = der.implicit(6, Buffer.from(ocspUrl, 'latin1'))
    const access = der.sequence(der.sequence(der.oid('1.3.6.1.5.5.7.48.1'), location))
    list.push(extension('1.3.6.1.5.5.7.1.1', false, access))
  }
  if (mustStaple) list.push(extension('1.3.6.1.5.5.7.1.24', false, der.sequence(der.integer(5))))
  return list
}

function newKeys({ rsa, ed25519, rsaBits = 2048 }: IssueOptions): { publicKey: KeyObject; privateKey: KeyObject } {
  if (rsa) return generateKeyPairSync('rsa', { modulusLength: rsaBits })
  if (ed25519) return generateKeyPairSync('ed25519')
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

function keyText(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function write(chainPem: string, keyPem: string, names: readonly string[]): IssuedFiles {
  const folder = temporaryFolder()
  const chainFile = path.join(folder, 'chain.pem')
  const keyFile = path.join(folder, 'key.pem')
  writeFileSync(chainFile, chainPem)
  writeFileSync(keyFile, keyPem, { mode: 0o600 })
  return { folder, chainFile, keyFile, chainPem, keyPem, names }
}

/** A revocation list of `ca` in a file: the serial numbers of these certificates (PEM), good for a day. */
export function crlFile(
  ca: TestCa,
  revoked: readonly string[],
  options: { ended?: boolean; file?: string } = {},
): string {
  const algorithm = der.sequence(der.oid('1.2.840.10045.4.3.2'))
  const now = Date.now()
  const entries = revoked.map(pem => {
    const serial = Buffer.from(new X509Certificate(pem).serialNumber, 'hex')
    return der.sequence(der.integer(serial), der.time(now - 60_000))
  })
  const list = der.sequence(
    der.integer(1),
    algorithm,
    ca.subjectDer,
    der.time(now - 2 * dayMs),
    der.time(options.ended ? now - dayMs : now + dayMs),
    ...(entries.length > 0 ? [der.sequence(...entries)] : []),
  )
  const crl = der.sequence(list, algorithm, der.bitString(sign('sha256', list, ca.key)))
  const file = options.file ?? path.join(temporaryFolder(), 'ca.crl')
  const lines = crl.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  writeFileSync(file, `-----BEGIN X509 CRL-----\n${lines}\n-----END X509 CRL-----\n`)
  return file
}
