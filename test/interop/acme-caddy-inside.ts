/**
 * The inside of acme-caddy.test.ts: a program that runs in a network and mount namespace of its own, where ports 80, 443
 * and 53 are free and the system's resolver is ours. Prints one JSON object a line for each part: its name, and what was
 * wrong with it, or null.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import tls from 'node:tls'
import { httpClient } from '../../src/acme/http.ts'
import { acmeIssuer } from '../../src/acme/issue.ts'
import { post } from '../../src/acme/post.ts'
import { problemOf } from '../../src/acme/problem.ts'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import type { Solver } from '../../src/model/challenge.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { listening } from '../harness/ports.ts'
import { until } from '../harness/until.ts'

const folder = temporaryFolder('sallyport-caddy-')
const secret = Buffer.from('a secret of thirty-two bytes .. ').toString('base64')
const root = path.join(folder, 'store', 'pki', 'authorities', 'local', 'root.crt')
const directory = 'https://localhost:9443/acme/local/directory'

function start(command: string, words: readonly string[]) {
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  const child = spawn(command, words, { stdio: process.env['CADDY_LOG'] ? ['ignore', 2, 2] : 'ignore', env })
  process.on('exit', () => child.kill())
}

async function startPeers(): Promise<void> {
  const caddyfile = path.join(folder, 'Caddyfile')
  writeFileSync(
    caddyfile,
    `{
  admin off
  http_port 9080
  https_port 9443
  auto_https disable_redirects
  skip_install_trust
  storage file_system ${folder}/store
}
https://localhost:9443 {
  tls internal
  acme_server
}
`,
  )
  start('caddy', ['run', '--config', caddyfile, '--adapter', 'caddyfile'])
  mkdirSync(path.join(folder, 'run'))
  // The only name server that this namespace has; everything below shop.test is this machine.
  writeFileSync(
    path.join(folder, 'shop.test.zone'),
    '$ORIGIN shop.test.\n$TTL 1\n@ SOA ns1 admin 1 3600 600 86400 1\n@ NS ns1\nns1 A 127.0.0.1\n* A 127.0.0.1\n',
  )
  writeFileSync(
    path.join(folder, 'knot.conf'),
    `server:
    listen: 127.0.0.1@53
    rundir: ${folder}/run
database:
    storage: ${folder}/run
key:
  - id: acme-update
    algorithm: hmac-sha256
    secret: ${secret}
acl:
  - id: update
    key: acme-update
    action: update
zone:
  - domain: shop.test
    storage: ${folder}
    file: shop.test.zone
    zonefile-sync: -1
    acl: update
`,
  )
  start('/usr/sbin/knotd', ['-c', path.join(folder, 'knot.conf')])
  await Promise.all([listening(9443), listening(53)])
  await until(() => {
    try {
      return readFileSync(root).length > 0
    } catch {
      return false
    }
  })
}

const routes = [{ respond: { status: 200, body: 'hello' } }]
const listen = [
  { port: 443, address: '127.0.0.1' },
  { port: 80, address: '127.0.0.1', cleartext: 'redirect' as const },
]

function gateway(host: string, acme: object, state = temporaryFolder('sallyport-state-')): Promise<Started> {
  return startGateway({
    state,
    listen,
    sites: [{ host, certificate: 'acme', routes }],
    acme: { email: 'ops@example.com', directory, ca: root, ...acme },
  })
}

async function within<T>(started: Started, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const lines = started.logs().filter(one => one['level'] !== 'debug')
    throw new Error(`${(error as Error).stack}\n${lines.map(one => JSON.stringify(one)).join('\n')}`)
  } finally {
    await started.stop()
  }
}

/** The one that is shown, once there is one; verified against Caddy's root. */
function shown(servername: string): Promise<tls.PeerCertificate> {
  return new Promise((resolve, reject) => {
    const ca = readFileSync(root, 'utf8')
    const socket = tls.connect({ host: '127.0.0.1', port: 443, servername, ca }, () => {
      resolve(socket.getPeerCertificate())
      socket.end()
    })
    socket.on('error', reject)
  })
}

const said = async (started: Started, message: string) => {
  await until(() => started.logs().some(one => one['message'] === message))
  return started.logs().find(one => one['message'] === message) as Record<string, unknown>
}

const parts: Record<string, () => Promise<void>> = {
  async 'http-01'() {
    const started = await gateway('a.shop.test', { challenges: ['http-01'] })
    await within(started, async () => {
      await said(started, 'certificate obtained')
      assert.equal((await shown('a.shop.test')).subjectaltname, 'DNS:a.shop.test')
    })
  },

  async 'tls-alpn-01'() {
    const started = await gateway('b.shop.test', { challenges: ['tls-alpn-01'] })
    await within(started, async () => {
      await said(started, 'certificate obtained')
      assert.equal((await shown('b.shop.test')).subjectaltname, 'DNS:b.shop.test')
    })
  },

  async 'dns-01, for a wildcard'() {
    const dns = {
      provider: 'rfc2136',
      server: '127.0.0.1',
      tsig: { name: 'acme-update', algorithm: 'hmac-sha256', secret },
    }
    const started = await gateway('*.shop.test', { dns })
    await within(started, async () => {
      await said(started, 'certificate obtained')
      assert.equal((await shown('any.shop.test')).subjectaltname, 'DNS:*.shop.test')
    })
  },

  async renewal() {
    const state = temporaryFolder('sallyport-state-')
    const first = await gateway('c.shop.test', {}, state)
    const old = await within(first, async () => {
      await said(first, 'certificate obtained')
      return await shown('c.shop.test')
    })
    // Caddy 2.6 issues for twelve hours, whatever one wishes: nine of them pass.
    const { now } = Date
    try {
      Date.now = () => now() + 9 * 3_600_000
      const second = await gateway('c.shop.test', {}, state)
      await within(second, async () => {
        const renewing = await said(second, 'renewing a certificate')
        assert.equal(renewing['why'], 'a third of its life is left')
        await said(second, 'certificate obtained')
        const fresh = await shown('c.shop.test')
        assert.notEqual(fresh.serialNumber, old.serialNumber)
      })
    } finally {
      Date.now = now
    }
  },

  async revocation() {
    const state = temporaryFolder('sallyport-state-')
    const started = await gateway('d.shop.test', {}, state)
    await within(started, async () => {
      await said(started, 'certificate obtained')
      const old = await shown('d.shop.test')
      const kept = JSON.parse(readFileSync(path.join(state, 'storage/certificates/d.shop.test.ecdsa'), 'utf8'))
      await started.gateway.managed.revoke('d.shop.test', 4)
      assert.notEqual((await shown('d.shop.test')).serialNumber, old.serialNumber)
      // It remembers: asked again, by the key of the certificate, it says so.
      const certificate = new X509Certificate(kept.chainPem).raw.toString('base64url')
      const privateJwk = createPrivateKey(kept.keyPem).export({ format: 'jwk' })
      const { ca, close } = client([])
      const { revokeCert } = await ca.directory(never)
      const again = post(
        ca,
        revokeCert,
        { certificate, reason: 4 },
        { key: { alg: 'ES256', privateJwk }, kid: null },
        never,
      )
      await assert.rejects(again, error => problemOf(error)?.type === 'alreadyRevoked')
      close()
    })
  },

  async 'no renewal information, no profiles, and an answer that is not there'() {
    const silent: Solver = { kind: 'http-01', fits: () => true, present: async () => {}, remove: async () => {} }
    const { issue, renewal, close } = client([silent])
    assert.equal(await renewal('aaa.bbb', never), null)
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const names = ['e.shop.test']
    const order = { names, csrDer: buildCsr(names, key), replaces: null, pending: null, progress: async () => {} }
    // It goes on looking, as long as one likes; our own deadline ends it.
    await assert.rejects(issue(order, never), { kind: 'unavailable', message: /not done within 3s/ })
    const other = client([silent], 'shortlived')
    await assert.rejects(other.issue(order, never), {
      kind: 'rejected',
      message: /no profile "shortlived": it offers none/,
    })
    close()
    other.close()
  },
}

const never = new AbortController().signal

function client(solvers: readonly Solver[], profile: string | null = null) {
  const http = httpClient({ ca: readFileSync(root, 'utf8') })
  let kept: string | null = null
  const store = { load: async () => kept, save: async (text: string) => void (kept = text) }
  const account = { store, email: null, externalAccount: null }
  const pace = { firstMs: 20, mostMs: 1_000 }
  const deadlineMs = 3_000
  const issuer = acmeIssuer({ directory, http, account, solvers, profile, preferredChain: null, deadlineMs, pace })
  return { ...issuer, close: () => http.close() }
}

// The peers end with this program, also where it takes too long.
process.on('SIGTERM', () => process.exit(1))
await startPeers()
for (const [name, part] of Object.entries(parts)) {
  const wrong = await part().then(
    () => null,
    error => (error as Error).message,
  )
  process.stdout.write(`${JSON.stringify({ name, wrong })}\n`)
}
process.exit(0)
