/** The CAs that clients are verified by, replaced while the gateway runs: at any moment, and whatever else fails. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import type { SiteInput } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ask, type Version, versions } from '../harness/ask.ts'
import {
  crlFile,
  type IssuedFiles,
  issueClientFiles,
  issueFiles,
  replaceFile,
  temporaryFolder,
  testCa,
} from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { rawTls } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const running: Started[] = []
after(async () => {
  for (const each of running) await each.stop()
})

const [before, next] = [testCa('Before'), testCa('Next')]
const [old, fresh] = [issueClientFiles(before, 'old'), issueClientFiles(next, 'fresh')]

/** A file with the CA that is trusted first */
function casFile(): string {
  const file = path.join(temporaryFolder(), 'partners.pem')
  replaceFile(file, before.certificatePem)
  return file
}

async function start(sites: readonly SiteInput[]): Promise<Started> {
  const started = await startGateway({ sites })
  running.push(started)
  return started
}

const said =
  (message: string, file = '') =>
  (record: Record<string, unknown>) =>
    record['message'] === message && String(record['source'] ?? '').endsWith(file)

const site = (host: string, ca: string, more: object = {}): SiteInput => ({
  host,
  certificate: 'local',
  clients: { ca, ...more },
  routes: [{ respond: { body: 'in' } }],
})

/** 0: no handshake */
const statusOf = (
  { port, caPem }: Started,
  { chainPem, keyPem }: IssuedFiles,
  host = 'in.test',
  version: Version = 'HTTP/1.1',
): Promise<number> =>
  ask(version, port, { host, tls: { ca: caPem, cert: chainPem, key: keyPem, rejectUnauthorized: false } }).then(
    ({ status }) => status,
    () => 0,
  )

/** Waits until the new CA counts, and the old one does not. */
const rotated = (gateway: Started, host = 'in.test'): Promise<void> =>
  eventually(`${host} trusts the new CA alone`, async () => {
    const [first, second] = [await statusOf(gateway, old, host), await statusOf(gateway, fresh, host)]
    return first === 0 && second === 200
  })

describe('the CAs of clients', () => {
  it('are rotated with nothing but their file: for new connections, on both versions of HTTP', async () => {
    const file = casFile()
    const other: SiteInput = { host: 'other.test', certificate: 'local', routes: [{ respond: { body: 'other' } }] }
    const gateway = await start([site('in.test', file), other])
    const http1 = { ALPNProtocols: ['http/1.1'] }
    const open = await rawTls(gateway.port, { servername: 'other.test', ...http1 })
    const { chainPem: cert, keyPem: key } = old
    const trusted = await rawTls(gateway.port, { servername: 'in.test', cert, key, ...http1 })
    trusted.send('GET / HTTP/1.1\r\nHost: in.test\r\n\r\n')
    await trusted.until(text => text.endsWith('in'))
    for (const version of versions) {
      assert.equal(await statusOf(gateway, old, 'in.test', version), 200)
      assert.equal(await statusOf(gateway, fresh, 'in.test', version), 0)
    }
    replaceFile(file, next.certificatePem)
    await gateway.logged(said('trusted CAs replaced', 'partners.pem'))
    await eventually('the terms of the site are new', () => gateway.gateway.snapshotVersion === 2)
    for (const version of versions) {
      assert.equal(await statusOf(gateway, old, 'in.test', version), 0)
      assert.equal(await statusOf(gateway, fresh, 'in.test', version), 200)
    }
    // Whoever came by a CA that is trusted no longer must come again; others stay.
    trusted.send('GET / HTTP/1.1\r\nHost: in.test\r\n\r\n')
    await trusted.until(text => text.includes('HTTP/1.1 421 '))
    trusted.destroy()
    open.send('GET / HTTP/1.1\r\nHost: other.test\r\n\r\n')
    await open.until(text => text.endsWith('other'))
    open.destroy()
    replaceFile(file, 'no longer')
    await gateway.logged(said('a file of trusted CAs cannot be used', 'partners.pem'))
    assert.equal(await statusOf(gateway, fresh), 200)
    assert.equal(gateway.gateway.snapshotVersion, 2)
  })

  it('wait for the revocation list of the new CA, and are tried again until it is there', async () => {
    const file = casFile()
    const crl = path.join(temporaryFolder(), 'list.crl')
    crlFile(before, [], { file: crl })
    const gateway = await start([site('in.test', file, { crl })])
    assert.deepEqual([await statusOf(gateway, old), await statusOf(gateway, fresh)], [200, 0])
    replaceFile(file, next.certificatePem)
    const failed = await gateway.logged(said('changed client CAs could not be applied'))
    assert.match(String(failed['why']), /list\.crl: .*not signed by/)
    assert.deepEqual([await statusOf(gateway, old), await statusOf(gateway, fresh)], [200, 0])
    crlFile(next, [], { file: crl })
    await rotated(gateway)
    assert.equal(gateway.logs().filter(said('changed client CAs could not be applied')).length, 1)
  })

  it('that were read by a reload which then fails are put into force all the same', async () => {
    const file = casFile()
    const gateway = await start([site('in.test', file)])
    const { config } = gateway.gateway
    const [one, two] = [issueFiles(before, ['bad.test']), issueFiles(before, ['bad.test'])]
    const pairs = [{ chainFile: one.chainFile, keyFile: two.keyFile }]
    const [first] = config.sites
    const bad = { ...first, name: 'bad.test', hosts: ['bad.test'], certificate: { kind: 'files', pairs } }
    replaceFile(file, next.certificatePem)
    const broken = { ...config, sites: [...config.sites, bad] } as typeof config
    await assert.rejects(gateway.gateway.apply(broken), /does not belong to/)
    await rotated(gateway)
  })

  it('that are replaced while a reload is under way, which did not see them, are put into force after it', async () => {
    const file = casFile()
    const gateway = await start([{ host: 'a.test', certificate: 'local', routes: [{ respond: { body: 'a' } }] }])
    const listen = [{ port: gateway.port, address: '127.0.0.1' }]
    const { state } = gateway.gateway.config
    const { config } = await loadConfig({ value: { listen, state, sites: [site('in.test', file)] } })
    const { managed } = gateway.gateway
    const prepare = managed.prepare.bind(managed)
    // Storage that is slow: until the new CAs were seen by the watch.
    managed.prepare = async wanted => {
      managed.prepare = prepare
      const prepared = await prepare(wanted)
      const load = async () => {
        replaceFile(file, next.certificatePem)
        await gateway.logged(said('trusted CAs replaced', 'partners.pem'))
        await prepared.load()
      }
      return { ...prepared, load }
    }
    await gateway.gateway.apply(config)
    await rotated(gateway)
  })

  it('that are replaced while sites are made of them are the same for all, and the warnings of sites are told once', async () => {
    const file = casFile()
    // What is warned of stands between the two sites.
    const { chainFile, keyFile } = issueFiles(before, ['one.test'], { expired: true })
    const one = { ...site('one.test', file), certificate: { chain: chainFile, key: keyFile } }
    const gateway = await start([one, site('two.test', file)])
    const warnings = () => gateway.logs().filter(record => / expired on /.test(String(record['message']))).length
    await eventually('the warning is in the log', () => warnings() === 1)
    const { log, config } = gateway.gateway as unknown as {
      log: { write: (...words: unknown[]) => void }
      config: never
    }
    const write = log.write.bind(log)
    log.write = (...words) => {
      if (/ expired on /.test(String(words[1]))) replaceFile(file, next.certificatePem)
      write(...words)
    }
    await gateway.gateway.apply(config)
    log.write = write
    await rotated(gateway, 'one.test')
    await rotated(gateway, 'two.test')
    assert.equal(warnings(), 2)
  })
})
