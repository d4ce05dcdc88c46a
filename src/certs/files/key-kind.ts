/**
 * What kind of key a PEM block holds, read by ourselves: the runtimes refuse different kinds, each in its TLS library's words, or take
 * them and fail at the first handshake. One list for both: what both can serve and clients of today can verify.
 */
import { UsageError } from '../../base/errors.ts'
import { children, DerError, type DerValue, expectTag, read, readOid, tags } from '../x509/der.ts'

/** Private keys that both runtimes use; the curves are those of TLS 1.3 (RFC 8446 section 4.2.3). */
const good: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.1',
  '1.3.101.112',
  '1.2.840.10045.3.1.7',
  '1.3.132.0.34',
  '1.3.132.0.35',
])

const ecKey = '1.2.840.10045.2.1'

/** Kinds and curves that people have, by object identifier. */
const names: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.10': 'an RSA-PSS key',
  '1.2.840.113549.1.1.7': 'an RSA-OAEP key',
  '1.2.840.10040.4.1': 'a DSA key',
  '1.2.840.113549.1.3.1': 'a Diffie-Hellman key',
  '1.2.840.10046.2.1': 'a Diffie-Hellman key',
  '1.3.101.110': 'an X25519 key, which can sign nothing,',
  '1.3.101.111': 'an X448 key, which can sign nothing,',
  '1.3.101.113': 'an Ed448 key',
  '1.3.132.0.10': 'an ECDSA key on the curve secp256k1',
  '1.3.132.0.31': 'an ECDSA key on the curve secp192k1',
  '1.3.132.0.32': 'an ECDSA key on the curve secp224k1',
  '1.3.132.0.33': 'an ECDSA key on the curve secp224r1 (P-224)',
  '1.2.840.10045.3.1.1': 'an ECDSA key on the curve prime192v1 (P-192)',
  '1.3.36.3.3.2.8.1.1.7': 'an ECDSA key on the curve brainpoolP256r1',
  '1.3.36.3.3.2.8.1.1.11': 'an ECDSA key on the curve brainpoolP384r1',
  '1.3.36.3.3.2.8.1.1.13': 'an ECDSA key on the curve brainpoolP512r1',
  '1.2.156.10197.1.301': 'an SM2 key',
  '2.16.840.1.101.3.4.3.17': 'an ML-DSA-44 key',
  '2.16.840.1.101.3.4.3.18': 'an ML-DSA-65 key',
  '2.16.840.1.101.3.4.3.19': 'an ML-DSA-87 key',
}

const wanted =
  'use ECDSA on P-256, P-384 or P-521, RSA of 2048 bits or more, or Ed25519, and have a certificate issued for it; for a key: ' +
  'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256'

/** Throws UsageError for a kind that is not served. One that is damaged passes: the runtime says what is wrong with it. */
export function checkKeyKind(pem: string, file: string): void {
  const id = kindOf(pem)
  if (id === null || good.has(id)) return
  if (id === explicit)
    throw new UsageError(
      `${file}: the key is on a curve that is written out in numbers and not named, which TLS does not have; for a named one: ` +
        'openssl pkey -ec_param_enc named_curve, and have the certificate issued for that key',
    )
  throw new UsageError(
    `${file}: ${names[id] ?? `a key of the kind ${id}`} cannot be used for a certificate here; ${wanted}`,
  )
}

const explicit = 'explicit'

/** Object identifier of the algorithm, or of the curve; null where it cannot be read. */
function kindOf(pem: string): string | null {
  const [, label, text = ''] = /-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----([^-]*)-----END/.exec(pem) ?? []
  if (label === 'RSA PRIVATE KEY') return null
  // RFC 1421 headers, as old tools write them
  const body = text.replace(/^\s*(?:[\w-]+:.*\n)+/, '')
  try {
    const parts = children(read(Buffer.from(body, 'base64'), tags.sequence))
    if (label === 'EC PRIVATE KEY') {
      const parameters = parts.find(value => value.tag === 0xa0)
      return parameters === undefined ? null : curveOf(read(parameters.content))
    }
    const [algorithm, parameters] = children(expectTag(parts[1], tags.sequence))
    const id = readOid(expectTag(algorithm, tags.oid))
    return id === ecKey ? curveOf(parameters) : id
  } catch (error) {
    if (error instanceof DerError) return null
    throw error
  }
}

const curveOf = (parameters: DerValue | undefined): string | null =>
  parameters?.tag === tags.oid ? readOid(parameters) : parameters?.tag === tags.sequence ? explicit : null
