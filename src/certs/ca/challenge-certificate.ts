/** The certificate that answers a tls-alpn-01 challenge (RFC 8737 section 3): self-signed, and of no use for anything else. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import type { Bundle } from '../../model/certificate.ts'
import { parseBundle } from '../files/bundle.ts'
import { octetString } from '../x509/der.ts'
import { sortNames } from '../x509/names.ts'
import { buildCertificate, extension } from '../x509/x509-build.ts'

/** id-pe-acmeIdentifier */
const acmeIdentifier = '1.3.6.1.5.5.7.1.31'

/** @param name the identifier: a DNS name, or an IP address (RFC 8738) */
export function challengeCertificate(name: string, keyAuthorization: string): Bundle {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const digest = createHash('sha256').update(keyAuthorization).digest()
  const now = Date.now()
  const { pem } = buildCertificate({
    subject: { commonName: 'ACME challenge' },
    issuer: { commonName: 'ACME challenge' },
    publicKey,
    signingKey: privateKey,
    notBefore: now - 3_600_000,
    notAfter: now + 24 * 3_600_000,
    ...sortNames([name]),
    keyUsage: ['digitalSignature'],
    otherExtensions: [extension(acmeIdentifier, true, octetString(digest))],
  })
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const source = `the challenge of ${name}`
  return parseBundle({ chainPem: pem, keyPem, chainFile: source, keyFile: source }).bundle
}
