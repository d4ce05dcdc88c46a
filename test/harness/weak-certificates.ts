/** Certificates that prove nothing any more: short keys, broken hashes, and issuers that are no CAs. */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { toPem } from '../../src/base/pem.ts'
import * as der from '../../src/certs/x509/der.ts'
import { buildCertificate, type ExtendedKeyUsage } from '../../src/certs/x509/x509-build.ts'
import { temporaryFolder } from './certificates.ts'

export type Signature = 'sha256' | 'sha1' | 'md5'

export type Crafted = {
  readonly pem: string
  readonly key: KeyObject
  readonly keyPem: string
  readonly name: string
  /** Certificates that are sent above a leaf of this one: empty for a root */
  readonly above: string
}

export type CraftOptions = {
  readonly issuer?: Crafted
  readonly key?: KeyObject
  readonly hash?: Signature
  readonly isCa?: boolean
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly use?: readonly ExtendedKeyUsage[]
}

export const rsa = (bits: number): KeyObject => generateKeyPairSync('rsa', { modulusLength: bits }).privateKey
export const ec = (curve = 'P-256'): KeyObject => generateKeyPairSync('ec', { namedCurve: curve }).privateKey

const dayMs = 86_400_000
const algorithms: Readonly<Record<Signature, Readonly<Record<'rsa' | 'ec', string>>>> = {
  sha256: { rsa: '1.2.840.113549.1.1.11', ec: '1.2.840.10045.4.3.2' },
  sha1: { rsa: '1.2.840.113549.1.1.5', ec: '1.2.840.10045.4.1' },
  md5: { rsa: '1.2.840.113549.1.1.4', ec: '' },
}

/** A certificate of any kind, signed with any hash, by itself where there is no issuer. */
export function craft(name: string, options: CraftOptions = {}): Crafted {
  const { issuer, key = ec(), hash = 'sha256', isCa = false, dnsNames, ipAddresses, use } = options
  const now = Date.now()
  const subject = { commonName: name }
  const signingKey = issuer?.key ?? key
  const built = buildCertificate({
    subject,
    issuer: issuer === undefined ? subject : { commonName: issuer.name },
    publicKey: createPublicKey(key),
    signingKey,
    notBefore: now - dayMs,
    notAfter: now + 30 * dayMs,
    isCa,
    dnsNames,
    ipAddresses,
    keyUsage: isCa ? ['keyCertSign', 'cRLSign', 'digitalSignature'] : ['digitalSignature', 'keyEncipherment'],
    extendedKeyUsage: use,
  })
  const pem = hash === 'sha256' ? built.pem : resign(built.der, signingKey, hash)
  return {
    pem,
    key,
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    name,
    above: issuer === undefined ? '' : pem + issuer.above,
  }
}

function resign(bytes: Buffer, key: KeyObject, hash: Signature): string {
  const kind = key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec'
  const id = der.oid(algorithms[hash][kind])
  const algorithm = kind === 'rsa' ? der.sequence(id, der.encode(0x05)) : der.sequence(id)
  const [body] = der.children(der.read(bytes, der.tags.sequence))
  const fields = der.children(body!).map(({ raw }, at) => (at === 2 ? algorithm : raw))
  const tbs = der.sequence(...fields)
  return toPem('CERTIFICATE', der.sequence(tbs, algorithm, der.bitString(sign(hash, tbs, key))))
}

/** In files, as a peer has them: the leaf, and all below the root. */
export function filesOf(leaf: Crafted): { chainFile: string; keyFile: string; chainPem: string; keyPem: string } {
  const folder = temporaryFolder()
  const [chainFile, keyFile] = [path.join(folder, 'chain.pem'), path.join(folder, 'key.pem')]
  const chainPem = leaf.above === '' ? leaf.pem : leaf.above
  writeFileSync(chainFile, chainPem)
  writeFileSync(keyFile, leaf.keyPem)
  return { chainFile, keyFile, chainPem, keyPem: leaf.keyPem }
}

export function caFileOf(...roots: readonly Crafted[]): string {
  const file = path.join(temporaryFolder(), 'ca.pem')
  writeFileSync(file, roots.map(({ pem }) => pem).join(''))
  return file
}
