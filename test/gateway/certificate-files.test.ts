/** Certificate files that are replaced while the gateway runs: as a pair or not at all, without a connection lost. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import tls from 'node:tls'
import { loadConfig } from '../../src/config/load.ts'
import { type IssuedFiles, issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, rawTls, recordingBackend } from '../harness/raw.ts'

const ca = testCa()
const fresh = (days = 30): IssuedFiles => issueFiles(ca, ['localhost'], { days })
const running: Started[] = []

after(async () => {
  for (const one of running) await one.stop()
})

const respond = [{ respond: { body: 'yes' } }]

async function serving(chain: string, key: string): Promise<Started> {
  const started = await startGateway({
    sites: [{ host: 'localhost', certificate: { chain, key }, routes: respond }],
  })
  running.push(started)
  return started
}

const print = (files: { chainPem: string }): string => new X509Certificate(files.chainPem).fingerprint256

/** What a new connection is shown. */
async function shown(port: number, servername = 'localhost'): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

const replaced = (gateway: Started, to: IssuedFiles) =>
  gateway.logged(record => record['message'] === 'certificate replaced' && record['fingerprint'] === print(to))
const broken = (gateway: Started, why: RegExp) =>
  gateway.logged(
    record => record['message'] === 'certificate files cannot be used' && why.test(String(record['why'])),
  )

/** Two files in a folder of their own. */
function placed(files: IssuedFiles): { folder: string; chain: string; key: string } {
  const folder = temporaryFolder()
  const [chain, key] = [path.join(folder, 'chain.pem'), path.join(folder, 'key.pem')]
  writeFileSync(chain, files.chainPem)
  writeFileSync(key, files.keyPem)
  return { folder, chain, key }
}

function rename(text: string, file: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

describe('a pair that is replaced', () => {
  it('by renames is shown to new connections, and requests under way on old ones go on', async () => {
    const backend = await recordingBackend()
    const [before, next] = [fresh(20), fresh(40)]
    const { chain, key } = placed(before)
    const gateway = await startGateway({
      sites: [{ host: 'localhost', certificate: { chain, key }, to: [backend.url] }],
    })
    running.push(gateway)
    const client = await rawTls(gateway.port)
    client.send('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const connection = await backend.connection(0)
    await connection.until(text => text.endsWith('\r\n\r\n'))
    assert.equal(await shown(gateway.port), print(before))
    rename(next.chainPem, chain)
    rename(next.keyPem, key)
    const record = await replaced(gateway, next)
    assert.deepEqual(record['names'], ['localhost'])
    assert.equal(record['oldFingerprint'], print(before))
    assert.ok(String(record['oldNotAfter']) < String(record['notAfter']))
    assert.equal(await shown(gateway.port), print(next))
    connection.send(ok('at last'))
    assert.match(await client.until(text => text.endsWith('at last')), /^HTTP\/1\.1 200/)
    client.send('GET /again HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await connection.until(text => text.includes('/again'))
    connection.send(ok('again'))
    await client.until(text => text.endsWith('again'))
    client.destroy()
    await backend.close()
    assert.equal(gateway.logs().filter(each => each['level'] === 'warn').length, 0)
  })

  it('in place and slowly: half a file leaves the old one in force, and says so once', async () => {
    const [before, next] = [fresh(), fresh()]
    const { chain, key } = placed(before)
    const gateway = await serving(chain, key)
    const half = next.chainPem.length / 2
    writeFileSync(chain, next.chainPem.slice(0, half))
    const record = await broken(gateway, /cut off/)
    assert.equal(record['source'], chain)
    assert.match(String(record['now']), /the current certificate stays in use: localhost, until /)
    assert.match(String(record['next']), /looked at again/)
    assert.equal(await shown(gateway.port), print(before))
    assert.equal(gateway.gateway.certificates()[0]?.state, 'broken')
    appendFileSync(chain, next.chainPem.slice(half))
    // Now the chain is whole, and the key is still the old one.
    await broken(gateway, /does not belong to/)
    assert.equal(await shown(gateway.port), print(before))
    writeFileSync(key, next.keyPem)
    await replaced(gateway, next)
    assert.equal(await shown(gateway.port), print(next))
    assert.equal(gateway.logs().filter(each => each['message'] === 'certificate files cannot be used').length, 2)
    assert.equal(gateway.gateway.certificates()[0]?.state, 'serving')
  })

  it('by what has expired is not taken, while the old one has not', async () => {
    const before = fresh()
    const { chain, key } = placed(before)
    const gateway = await serving(chain, key)
    const old = issueFiles(ca, ['localhost'], { expired: true })
    rename(old.keyPem, key)
    rename(old.chainPem, chain)
    await broken(gateway, /the new certificate expired on /)
    assert.equal(await shown(gateway.port), print(before))
  })

  it('by itself, and touched, is no swap: sessions go on', async () => {
    const before = fresh()
    const { chain, key } = placed(before)
    const gateway = await serving(chain, key)
    rename(before.chainPem, chain)
    const next = fresh()
    rename(next.keyPem, key)
    await broken(gateway, /does not belong/)
    rename(before.keyPem, key)
    await gateway.logged(record => record['message'] === 'certificate files can be used again')
    assert.equal(gateway.logs().filter(each => each['message'] === 'certificate replaced').length, 0)
  })
})

describe('links', () => {
  it('that Kubernetes swaps (..data) are followed', async () => {
    const [before, next] = [fresh(), fresh()]
    const folder = temporaryFolder()
    const version = (name: string, files: IssuedFiles) => {
      mkdirSync(path.join(folder, name))
      writeFileSync(path.join(folder, name, 'tls.crt'), files.chainPem)
      writeFileSync(path.join(folder, name, 'tls.key'), files.keyPem)
    }
    version('..2026_01', before)
    symlinkSync('..2026_01', path.join(folder, '..data'))
    symlinkSync('..data/tls.crt', path.join(folder, 'tls.crt'))
    symlinkSync('..data/tls.key', path.join(folder, 'tls.key'))
    const gateway = await serving(path.join(folder, 'tls.crt'), path.join(folder, 'tls.key'))
    assert.equal(await shown(gateway.port), print(before))
    version('..2026_02', next)
    symlinkSync('..2026_02', path.join(folder, '..data_tmp'))
    renameSync(path.join(folder, '..data_tmp'), path.join(folder, '..data'))
    rmSync(path.join(folder, '..2026_01'), { recursive: true })
    await replaced(gateway, next)
    assert.equal(await shown(gateway.port), print(next))
    assert.equal(gateway.logs().filter(each => each['level'] === 'warn').length, 0)
  })

  it('that certbot sets (live to archive) are followed', async () => {
    const [before, next] = [fresh(), fresh()]
    const folder = temporaryFolder()
    for (const name of ['live', 'archive']) mkdirSync(path.join(folder, name))
    const set = (number: number, files: IssuedFiles) => {
      for (const [name, text] of [
        ['fullchain', files.chainPem],
        ['privkey', files.keyPem],
      ] as const) {
        writeFileSync(path.join(folder, 'archive', `${name}${number}.pem`), text)
        const link = path.join(folder, 'live', `${name}.pem`)
        rmSync(link, { force: true })
        symlinkSync(`../archive/${name}${number}.pem`, link)
      }
    }
    set(1, before)
    const gateway = await serving(
      path.join(folder, 'live', 'fullchain.pem'),
      path.join(folder, 'live', 'privkey.pem'),
    )
    set(2, next)
    await replaced(gateway, next)
    assert.equal(await shown(gateway.port), print(next))
  })
})

describe('a reload', () => {
  it('takes up new files at once, and fails as a whole where they are broken', async () => {
    const [before, next] = [fresh(), fresh()]
    const { chain, key } = placed(before)
    const gateway = await serving(chain, key)
    const { state } = gateway.gateway.config
    const value = {
      listen: [{ port: gateway.port, address: '127.0.0.1' }],
      state,
      sites: [{ host: 'localhost', certificate: { chain, key }, routes: respond }],
    }
    const { config } = await loadConfig({ value })
    rename(next.chainPem, chain)
    await assert.rejects(gateway.gateway.apply(config), /does not belong to/)
    assert.equal(await shown(gateway.port), print(before))
    rename(next.keyPem, key)
    await gateway.gateway.apply(config)
    assert.equal(await shown(gateway.port), print(next))
    const later = fresh()
    rename(later.chainPem, chain)
    rename(later.keyPem, key)
    await replaced(gateway, later)
    assert.equal(await shown(gateway.port), print(later))
  })
})

describe('ECDSA and RSA side by side', () => {
  it('are replaced each for itself', async () => {
    const rsa = issueFiles(ca, ['localhost'], { rsa: true })
    const [before, next] = [fresh(), fresh()]
    const { chain, key } = placed(before)
    const gateway = await startGateway({
      sites: [
        {
          host: 'localhost',
          certificate: [
            { chain, key },
            { chain: rsa.chainFile, key: rsa.keyFile },
          ],
          routes: respond,
        },
      ],
    })
    running.push(gateway)
    assert.equal(await shown(gateway.port), print(before))
    rename(next.chainPem, chain)
    rename(next.keyPem, key)
    await replaced(gateway, next)
    assert.equal(await shown(gateway.port), print(next))
    assert.equal(gateway.gateway.certificates().length, 2)
    assert.ok(readFileSync(chain, 'utf8') === next.chainPem)
  })
})
