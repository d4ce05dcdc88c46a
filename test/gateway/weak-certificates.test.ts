/** Certificates that prove nothing any more, of clients and of backends: one rule on both runtimes, under every policy. */
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { ask } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { rawTls } from '../harness/raw.ts'
import { type Crafted, type CraftOptions, caFileOf, craft, filesOf, rsa } from '../harness/weak-certificates.ts'

const root = craft('Strong root', { isCa: true })
const rsaRoot = craft('Strong RSA root', { isCa: true, key: rsa(2048) })
const oldRoot = craft('Root signed by itself with SHA-1', { isCa: true, hash: 'sha1' })
const shortRoot = craft('Short root', { isCa: true, key: rsa(1024) })
const caFile = caFileOf(root, rsaRoot, oldRoot, shortRoot)

const strongMiddle = craft('Strong middle', { isCa: true, issuer: root })
const shortMiddle = craft('Short middle', { isCa: true, issuer: root, key: rsa(1024) })
const oldMiddle = craft('Old middle', { isCa: true, issuer: rsaRoot, hash: 'sha1' })

/** Null: taken. Otherwise what the log says of it. */
const rows: Record<string, [options: CraftOptions, why: RegExp | null]> = {
  'ECDSA with SHA-256': [{ issuer: root }, null],
  'RSA of 2048 bits': [{ issuer: root, key: rsa(2048) }, null],
  'a strong intermediate': [{ issuer: strongMiddle }, null],
  'a root that has signed itself with SHA-1': [{ issuer: oldRoot }, null],
  'RSA of 1024 bits': [{ issuer: root, key: rsa(1024) }, /: it has an RSA key of 1024 bits/],
  'ECDSA with SHA-1': [{ issuer: root, hash: 'sha1' }, /: it is signed with SHA-1/],
  'RSA with SHA-1': [{ issuer: rsaRoot, hash: 'sha1' }, /: it is signed with SHA-1/],
  'RSA with MD5': [{ issuer: rsaRoot, hash: 'md5' }, /MD5|signature/],
  'an intermediate of 1024 bits': [{ issuer: shortMiddle }, /CN=Short middle\) has an RSA key of 1024 bits/],
  'an intermediate signed with SHA-1': [{ issuer: oldMiddle }, /CN=Old middle\) is signed with SHA-1/],
  'a root of 1024 bits': [{ issuer: shortRoot }, /CN=Short root\) has an RSA key of 1024 bits/],
}
const versions = ['TLSv1.2', 'TLSv1.3'] as const
const onBun = 'Bun' in globalThis
/** OpenSSL shows and takes nothing weak at its usual security level. */
const lax = onBun ? {} : { ciphers: 'DEFAULT@SECLEVEL=0' }

describe('weak certificates of clients', () => {
  let gateway: Started
  const seen = new Set<string>()
  /** Each record counts once. */
  const fresh = (record: Record<string, unknown>): boolean => {
    const key = `${record['sni']} ${record['clientPort']}`
    return !seen.has(key) && seen.add(key) !== undefined
  }
  const crafted = new Map<string, Crafted>()

  before(async () => {
    for (const [name, [options]] of Object.entries(rows))
      crafted.set(name, craft(`client, ${name}`, { use: ['clientAuth'], ...options }))
    const site = (host: string, clients: object, more: object = {}) => ({
      host,
      certificate: 'local',
      clients: { ca: caFile, ...clients },
      routes: [{ respond: { body: 'fine' } }],
      ...more,
    })
    gateway = await startGateway({
      sites: [
        site('require.test', {}),
        site('legacy.test', {}, { policy: 'legacy' }),
        site('optional.test', { verify: 'optional' }, { policy: 'legacy' }),
        site('allow.test', { weak: 'allow' }),
      ] as never,
    })
  })
  after(() => gateway.stop())

  it('a trusted CA with a short key is warned about at start', async () => {
    const { message } = await gateway.logged(each =>
      /Short root has an RSA key of 1024 bits/.test(String(each['message'])),
    )
    assert.match(String(message), /certificates issued by it are refused, unless clients says weak: allow/)
  })

  async function served(host: string, client: Crafted, more: tls.ConnectionOptions = {}): Promise<boolean> {
    const { chainPem: cert, keyPem: key } = filesOf(client)
    try {
      const link = await rawTls(gateway.port, { servername: host, cert, key, ...lax, ...more })
      link.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      const text = await link.until(received => received.includes('\r\n\r\n'))
      link.destroy()
      return text.startsWith('HTTP/1.1 200')
    } catch {
      return false
    }
  }

  for (const [name, [, why]] of Object.entries(rows)) {
    it(`${name}: ${why === null ? 'taken' : 'refused, and taken with weak: allow'}`, async () => {
      const client = crafted.get(name) as Crafted
      for (const version of versions) {
        const only = { minVersion: version, maxVersion: version }
        for (const host of ['require.test', 'legacy.test', 'optional.test']) {
          assert.equal(await served(host, client, only), why === null, `${host} ${version}`)
          if (why === null) continue
          const own = gateway.logged(
            each => each['error'] === 'CLIENT_CERTIFICATE' && each['sni'] === host && fresh(each),
          )
          const said = String((await own)['why'])
          assert.match(said, why)
          // BoringSSL has no MD5 in certificates, and says that the signature is wrong.
          if (!(onBun && name.includes('MD5'))) assert.match(said, /weak: allow/)
        }
        if (onBun && name.includes('MD5')) continue
        assert.equal(await served('allow.test', client, only), true, `allow.test ${version}`)
      }
    })
  }
})

/** Answers each request with `fine`, over a connection of its own. */
async function startBackend(options: tls.TlsOptions): Promise<tls.Server> {
  const server = tls.createServer(options, socket => {
    socket.on('error', () => {})
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine'))
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return server
}

describe('weak certificates of backends', () => {
  let gateway: Started
  const servers: tls.Server[] = []
  const hostOf = (name: string, kind: string) => `${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.${kind}.test`

  before(async () => {
    const sites = []
    for (const [name, [options]] of Object.entries(rows)) {
      const { chainPem: cert, keyPem: key } = filesOf(
        craft(`backend, ${name}`, { use: ['serverAuth'], ipAddresses: ['127.0.0.1'], ...options }),
      )
      const server = await startBackend({ cert, key, ...lax })
      servers.push(server)
      const endpoints = `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`
      for (const weak of ['refuse', 'allow'])
        sites.push({
          host: hostOf(name, weak),
          certificate: 'local',
          policy: 'legacy',
          to: { endpoints, http: 1, pool: { idle: 0 }, tls: { ca: caFile, weak } },
        })
    }
    gateway = await startGateway({ sites: sites as never })
  })
  after(async () => {
    await gateway.stop()
    for (const server of servers) server.close()
  })

  for (const [name, [, why]] of Object.entries(rows)) {
    it(`${name}: ${why === null ? 'taken' : 'refused, and taken with weak: allow'}`, async () => {
      const strict = hostOf(name, 'refuse')
      for (let times = 0; times < 2; times++) {
        const { status } = await ask('HTTP/1.1', gateway.port, { host: strict })
        assert.equal(status, why === null ? 200 : 502)
        const { status: lenient } = await ask('HTTP/1.1', gateway.port, { host: hostOf(name, 'allow') })
        // BoringSSL has no MD5 in certificates.
        assert.equal(lenient, onBun && name.includes('MD5') ? 502 : 200)
      }
      if (why === null) return
      const record = await gateway.logged(each => each['error'] === 'UPSTREAM_TLS' && each['host'] === strict)
      assert.match(String(record['why']), why)
      if (!(onBun && name.includes('MD5'))) assert.match(String(record['why']), /weak: allow/)
    })
  }
})

describe('the name of a backend', () => {
  let gateway: Started
  const servers: tls.Server[] = []
  const named: Record<string, [options: CraftOptions & { name?: string }, taken: boolean, allowed: boolean]> = {
    'in subjectAltName': [{ dnsNames: ['localhost'] }, true, true],
    'in the common name alone': [{ name: 'localhost' }, false, true],
    'in the common name, beside an IP address': [{ name: 'localhost', ipAddresses: ['192.0.2.1'] }, false, true],
    'in the common name, beside another DNS name': [{ name: 'localhost', dnsNames: ['other.test'] }, false, false],
  }

  before(async () => {
    const sites = []
    for (const [at, [{ name = 'backend', ...options }]] of Object.values(named).entries()) {
      const { chainPem: cert, keyPem: key } = filesOf(
        craft(name, { issuer: root, use: ['serverAuth'], ...options }),
      )
      const server = await startBackend({ cert, key })
      servers.push(server)
      const endpoints = `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`
      for (const commonName of ['refuse', 'allow'])
        sites.push({
          host: `${commonName}-${at}.test`,
          certificate: 'local',
          to: { endpoints, http: 1, pool: { idle: 0 }, tls: { ca: caFile, commonName, serverName: 'localhost' } },
        })
    }
    gateway = await startGateway({ sites: sites as never })
  })
  after(async () => {
    await gateway.stop()
    for (const server of servers) server.close()
  })

  for (const [at, [name, [, taken, allowed]]] of Object.entries(named).entries()) {
    it(`${name}: ${taken ? 'taken' : 'refused'}, ${allowed ? 'taken' : 'refused'} with commonName: allow`, async () => {
      for (let times = 0; times < 2; times++) {
        assert.equal((await ask('HTTP/1.1', gateway.port, { host: `refuse-${at}.test` })).status, taken ? 200 : 502)
        assert.equal(
          (await ask('HTTP/1.1', gateway.port, { host: `allow-${at}.test` })).status,
          allowed ? 200 : 502,
        )
      }
      if (taken || !allowed) return
      const record = await gateway.logged(
        each => each['error'] === 'UPSTREAM_TLS' && each['host'] === `refuse-${at}.test`,
      )
      assert.match(String(record['why']), /no DNS name in subjectAltName.*commonName: allow/)
    })
  }
})
