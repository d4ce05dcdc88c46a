/** One CA, two certificates for the proxies (ECDSA P-256, RSA 2048) and one for the backend, made with openssl for this run only. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { backendName, type CertificateFiles, type Identity, type KeyKind } from './setup.ts'

const keyWords: Record<KeyKind, readonly string[]> = {
  ecdsa: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
}

export function createCertificates(folder: string): CertificateFiles {
  const file = (name: string) => path.join(folder, name)
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const key = (name: string, kind: KeyKind) => openssl('genpkey', ...keyWords[kind], '-out', name)

  key('ca.key', 'ecdsa')
  openssl('req', '-x509', '-new', '-key', 'ca.key', '-subj', '/CN=Benchmark CA', '-days', '7', '-out', 'ca.pem',
    '-addext', 'keyUsage=critical,keyCertSign,cRLSign') // biome-ignore format: one argument list
  const leaf = (name: string, kind: KeyKind, hosts: readonly string[]): Identity => {
    key(`${name}.key`, kind)
    openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${hosts[0]}`, '-out', `${name}.csr`)
    const names = hosts.map(host => `DNS:${host}`).join(',')
    writeFileSync(
      file(`${name}.ext`),
      `subjectAltName=${names}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n`,
    )
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
      '-days', '7', '-extfile', `${name}.ext`, '-out', `${name}.pem`) // biome-ignore format: one argument list
    const identity = { chain: file(`${name}.pem`), key: file(`${name}.key`), bundle: file(`${name}.bundle`) }
    writeFileSync(identity.bundle, readFileSync(identity.chain, 'utf8') + readFileSync(identity.key, 'utf8'))
    return identity
  }
  // The second name is for the rows with thousands of sites.
  const ecdsa = leaf('proxy', 'ecdsa', ['localhost', '*.bench.test'])
  const rsa = leaf('proxy-rsa', 'rsa', ['localhost'])
  // `localhost` too: in passthrough the client talks to the backend's certificate under that name.
  const backend = leaf('backend', 'ecdsa', [backendName, 'localhost'])
  return { ca: file('ca.pem'), proxy: { ecdsa, rsa }, backendChain: backend.chain, backendKey: backend.key }
}
