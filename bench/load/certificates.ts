/** One CA, one certificate for every proxy and one for the backend: ECDSA P-256, made with openssl for this run only. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { backendName, type CertificateFiles } from './setup.ts'

export function createCertificates(folder: string): CertificateFiles {
  const file = (name: string) => path.join(folder, name)
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const key = (name: string) =>
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', name)

  key('ca.key')
  openssl('req', '-x509', '-new', '-key', 'ca.key', '-subj', '/CN=Benchmark CA', '-days', '7', '-out', 'ca.pem',
    '-addext', 'keyUsage=critical,keyCertSign,cRLSign') // biome-ignore format: one argument list
  const leaf = (name: string, hosts: readonly string[]) => {
    key(`${name}.key`)
    openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${hosts[0]}`, '-out', `${name}.csr`)
    const names = hosts.map(host => `DNS:${host}`).join(',')
    writeFileSync(
      file(`${name}.ext`),
      `subjectAltName=${names}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n`,
    )
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
      '-days', '7', '-extfile', `${name}.ext`, '-out', `${name}.pem`) // biome-ignore format: one argument list
  }
  leaf('proxy', ['localhost'])
  // `localhost` too: in passthrough the client talks to the backend's certificate under that name.
  leaf('backend', [backendName, 'localhost'])
  writeFileSync(
    file('proxy.bundle'),
    readFileSync(file('proxy.pem'), 'utf8') + readFileSync(file('proxy.key'), 'utf8'),
  )
  return {
    ca: file('ca.pem'),
    chain: file('proxy.pem'),
    key: file('proxy.key'),
    bundle: file('proxy.bundle'),
    backendChain: file('backend.pem'),
    backendKey: file('backend.key'),
  }
}
