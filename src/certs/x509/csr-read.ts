/**
 * Reads certificate signing requests (PKCS #10, RFC 2986) from strangers. Strict: DER, a good signature (so whoever sends
 * it has the key), a strong key, and names that can be read in one way only.
 *
 * What a request wishes beyond its names (key usage, policies) is not ours to grant and is passed over; one that asks to be
 * a CA is refused, because somebody is about to be disappointed.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'
import { formatAddress } from '../../base/ip.ts'
import { keyWeakness } from '../../base/key-strength.ts'
import { CsrError, type CsrFields } from '../../model/authority.ts'
import { children, DerError, type DerValue, expectTag, read, readOid, tags } from './der.ts'
import { sortNames } from './names.ts'

const maxBytes = 32 * 1024
const maxNames = 100

const digests: Readonly<Record<string, { readonly digest: string | null; readonly type: string }>> = {
  '1.2.840.113549.1.1.11': { digest: 'sha256', type: 'rsa' },
  '1.2.840.113549.1.1.12': { digest: 'sha384', type: 'rsa' },
  '1.2.840.113549.1.1.13': { digest: 'sha512', type: 'rsa' },
  '1.2.840.10045.4.3.2': { digest: 'sha256', type: 'ec' },
  '1.2.840.10045.4.3.3': { digest: 'sha384', type: 'ec' },
  '1.2.840.10045.4.3.4': { digest: 'sha512', type: 'ec' },
  '1.3.101.112': { digest: null, type: 'ed25519' },
}

/** Throws CsrError. */
export function readCsr(bytes: Uint8Array): CsrFields {
  if (bytes.length > maxBytes)
    throw new CsrError('bad', `the request has ${bytes.length} bytes, the most is ${maxBytes}`)
  try {
    return readParts(bytes)
  } catch (error) {
    if (error instanceof DerError || error instanceof RangeError)
      throw new CsrError('bad', `the request cannot be read: ${messageOf(error)}`)
    throw error
  }
}

function readParts(bytes: Uint8Array): CsrFields {
  const whole = children(read(bytes, tags.sequence))
  if (whole.length !== 3) throw new DerError('a request has three parts')
  const body = expectTag(whole[0], tags.sequence)
  const [version, subject, spki, attributes, more] = children(body)
  if (!expectTag(version, tags.integer).content.equals(Buffer.from([0])))
    throw new DerError('only version 1 exists')
  if (more !== undefined) throw new DerError('something follows the attributes')
  const key = publicKeyOf(expectTag(spki, tags.sequence).raw)
  const algorithm = digests[readOid(expectTag(children(expectTag(whole[1], tags.sequence))[0]))]
  if (algorithm === undefined || algorithm.type !== key.asymmetricKeyType)
    throw new CsrError('bad', 'the request is not signed with its key in ECDSA, RSA (PKCS #1) or Ed25519 and SHA-2')
  const bits = expectTag(whole[2], tags.bitString).content
  if (bits[0] !== 0 || !verify(algorithm.digest, body.raw, key, bits.subarray(1)))
    throw new CsrError('bad', "the request's signature does not verify: it was not made with the key in it")
  const extensions = requestedExtensions(attributes)
  const basic = extensions.get('2.5.29.19')
  if (basic !== undefined && children(read(basic, tags.sequence))[0]?.tag === tags.boolean)
    throw new CsrError('bad', 'the request asks for the certificate of a CA')
  const alternative = extensions.get('2.5.29.17')
  const { names, uris } =
    alternative === undefined ? { names: [], uris: [] } : readNames(read(alternative, tags.sequence))
  const common = commonNames(expectTag(subject, tags.sequence))
  // Clients of old put the name there alone (RFC 8555 section 7.4 lets them).
  const all = sortNames([...names, ...common])
  return { publicKey: key, names: [...all.dnsNames, ...all.ipAddresses], uris }
}

/** A key that may have a certificate; throws CsrError `key`. */
function publicKeyOf(spki: Buffer): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (error) {
    throw new CsrError('key', `the public key cannot be read: ${messageOf(error)}`)
  }
  const weak = keyWeakness(key)
  if (weak !== null) throw new CsrError('key', weak)
  return key
}

function requestedExtensions(attributes: DerValue | undefined): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  if (attributes === undefined) return found
  if (attributes.tag !== 0xa0) throw new DerError('the attributes have another tag')
  let seen = false
  for (const attribute of children(attributes)) {
    const [id, values] = children(attribute)
    if (readOid(expectTag(id)) !== '1.2.840.113549.1.9.14') continue
    // Two lists of names would be read as one or the other.
    if (seen) throw new DerError('extensionRequest is there twice')
    seen = true
    const [list, ...others] = children(expectTag(values, tags.set))
    if (others.length > 0) throw new DerError('extensionRequest has more than one value')
    for (const extension of children(expectTag(list, tags.sequence))) {
      const parts = children(extension)
      const oid = readOid(expectTag(parts[0]))
      if (found.has(oid)) throw new DerError(`the extension ${oid} is there twice`)
      found.set(oid, expectTag(parts.at(-1), tags.octetString).content)
    }
  }
  return found
}

function readNames(value: DerValue): { names: string[]; uris: string[] } {
  const names: string[] = []
  const uris: string[] = []
  const all = children(value)
  if (all.length > maxNames)
    throw new CsrError('bad', `the request has ${all.length} names, the most is ${maxNames}`)
  for (const name of all) {
    const text = name.content.toString('latin1')
    if (name.tag === 0x82) names.push(text)
    else if (name.tag === 0x87) names.push(formatAddress(name.content))
    else if (name.tag === 0x86 && /^[\x21-\x7e]+$/.test(text)) uris.push(text)
    else throw new CsrError('bad', 'the request has a name that is no DNS name, IP address or URI')
  }
  return { names, uris }
}

function commonNames(subject: DerValue): string[] {
  const found: string[] = []
  for (const group of children(subject)) {
    for (const attribute of children(group)) {
      const [id, value] = children(attribute)
      if (readOid(expectTag(id)) === '2.5.4.3') found.push(expectTag(value).content.toString('utf8'))
    }
  }
  if (found.length > 1) throw new DerError('more than one common name')
  return found.filter(name => name !== '')
}
