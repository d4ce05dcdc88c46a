/** A certificate that a gateway is to keep current, put into its storage beforehand; and what clients are shown. */
import { generateKeyPairSync } from 'node:crypto'
import path from 'node:path'
import tls from 'node:tls'
import { sortNames } from '../../src/certs/x509/names.ts'
import { buildCertificate } from '../../src/certs/x509/x509-build.ts'
import { openFileStorage } from '../../src/storage/files.ts'
import type { TestCa } from './certificates.ts'

const dayMs = 86_400_000

/** A record as Records reads it: valid since 80 days, for 10 more, so that its renewal is due. */
export function dueRecord(ca: TestCa, issuer: string, name: string): Buffer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const now = Date.now()
  const { pem } = buildCertificate({
    ...sortNames([name]),
    subject: {},
    issuer: ca.subjectDer,
    publicKey,
    signingKey: ca.key,
    notBefore: now - 80 * dayMs,
    notAfter: now + 10 * dayMs,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['serverAuth'],
    authorityKeyId: ca.keyId,
  })
  const record = { version: 1, chainPem: pem, keyPem, issuer, obtainedAt: now - 80 * dayMs }
  return Buffer.from(JSON.stringify(record))
}

/** Puts one into the storage of a gateway with this state folder. */
export async function seedCertificate(state: string, ca: TestCa, issuer: string, name: string): Promise<void> {
  const storage = await openFileStorage(path.join(state, 'storage'))
  await storage.put(`certificates/${name}.ecdsa`, dueRecord(ca, issuer, name))
  await storage.close()
}

/** The fingerprint of what a client that trusts `ca` is shown; rejects when its handshake fails. */
export function fingerprintOf(port: number, name: string, ca: TestCa | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const trust = ca === null ? { rejectUnauthorized: false } : { ca: ca.certificatePem }
    const socket = tls.connect({ host: '127.0.0.1', port, servername: name, ...trust }, () => {
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.end()
      resolve(fingerprint256)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed')))
  })
}
