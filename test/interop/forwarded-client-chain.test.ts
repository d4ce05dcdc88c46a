/** Client-Cert-Chain (RFC 9440 section 2.3): in order, without the leaf and the root, the same on every runtime. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  type IssuedFiles,
  intermediateCa,
  issueClientFiles,
  rootCa,
  temporaryFolder,
  testCa,
} from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const skip = spawnSync('openssl', ['version']).error === undefined ? false : 'not installed: openssl'
const root = rootCa('Root')
const between = intermediateCa(root, 'Between')
const impostor = intermediateCa(rootCa('Root'), 'Between')
const alice = issueClientFiles(between, 'alice')
const direct = issueClientFiles(root, 'direct')
const folder = temporaryFolder()
let gateway: Started
let backend: RecordingBackend

const file = (name: string, ...parts: string[]) => {
  const at = path.join(folder, name)
  writeFileSync(at, parts.join(''))
  return at
}

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (text.endsWith('\r\n\r\n')) client.send(ok('fine'))
  })
  const site = (host: string, ca: string[]) => ({
    host,
    certificate: 'local' as const,
    clients: { ca, forward: ['client-cert'] },
    to: [backend.url],
  })
  gateway = await startGateway({
    sites: [site('root.test', [root.file]), site('both.test', [root.file, between.file])] as never,
  })
})

after(async () => {
  await gateway?.stop()
  await backend?.close()
})

let asked = 0

/** Subjects of what the backend is told, in order; null without the field. */
async function told(
  host: string,
  files: IssuedFiles,
  above: string | null,
  more: string[] = [],
): Promise<string[] | null> {
  const at = `/${++asked}`
  const args = ['s_client', '-quiet', '-connect', `127.0.0.1:${gateway.port}`, '-servername', host, ...more]
  args.push(
    '-cert',
    file(
      `leaf-${asked}.pem`,
      files.chainPem.split('-----END CERTIFICATE-----')[0] as string,
      '-----END CERTIFICATE-----\n',
    ),
  )
  args.push('-key', files.keyFile, ...(above === null ? [] : ['-cert_chain', above]))
  const child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.write(`GET ${at} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  let text = ''
  child.stdout.on('data', chunk => void (text += chunk))
  await new Promise(resolve => child.on('close', resolve))
  assert.match(text, /^HTTP\/1\.1 200 /)
  const received = backend.received()
  const [head = ''] = received.slice(received.lastIndexOf(`GET ${at} `)).split('\r\n\r\n')
  const leaf = /^client-cert: :(.*):\r?$/m.exec(head)?.[1] as string
  assert.equal(leaf, new X509Certificate(files.chainPem).raw.toString('base64'))
  const chain = /^client-cert-chain: (.*)\r?$/m.exec(head)?.[1]
  if (chain === undefined) return null
  return chain.split(', ').map(each => new X509Certificate(Buffer.from(each.slice(1, -1), 'base64')).fingerprint256)
}

const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256

describe('the chain that a backend is told', { skip }, () => {
  const only = [fingerprint(between.certificatePem)]
  for (const version of ['-tls1_2', '-tls1_3']) {
    it(`is what the client sent, without leaf and root (${version})`, async () => {
      assert.deepEqual(await told('root.test', alice, between.file, [version]), only)
      assert.deepEqual(
        await told('root.test', alice, file('whole.pem', between.certificatePem, root.certificatePem), [version]),
        only,
      )
    })
  }

  it('is in order, without what does not belong to it', async () => {
    const jumble = file('jumble.pem', testCa('Odd').certificatePem, root.certificatePem, between.certificatePem)
    assert.deepEqual(await told('root.test', alice, jumble), only)
    const posing = file('posing.pem', between.certificatePem, impostor.certificatePem)
    assert.deepEqual(await told('root.test', alice, posing), only)
  })

  it('is completed from clients.ca', async () => {
    assert.deepEqual(await told('both.test', alice, null), only)
  })

  it('is left out where the root has signed the leaf', async () => {
    assert.equal(await told('root.test', direct, null), null)
    assert.equal(await told('root.test', direct, root.file), null)
  })

  it('is there on a resumed session too, as far as clients.ca has it', async () => {
    const session = path.join(folder, 'session.pem')
    assert.deepEqual(await told('both.test', alice, between.file, ['-tls1_2', '-sess_out', session]), only)
    assert.ok(existsSync(session))
    assert.deepEqual(await told('both.test', alice, between.file, ['-tls1_2', '-sess_in', session]), only)
    assert.deepEqual(await told('root.test', alice, between.file, ['-tls1_2', '-sess_out', session]), only)
    // OpenSSL keeps the leaf alone in a session, BoringSSL all that was sent: what clients.ca lacks is there or not.
    const above = await told('root.test', alice, between.file, ['-tls1_2', '-sess_in', session])
    assert.ok(above === null || above.join() === only.join(), String(above))
    const resumed = gateway.logs().filter(each => (each['tls'] as { resumed?: boolean } | undefined)?.resumed)
    assert.equal(resumed.length, 2)
  })
})
