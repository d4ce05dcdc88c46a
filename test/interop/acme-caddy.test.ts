/** Our ACME client against Caddy's ACME server: another implementation of RFC 8555, with a CA of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type HttpClient, httpClient } from '../../src/acme/http.ts'
import { acmeIssuer } from '../../src/acme/issue.ts'
import { buildCsr } from '../../src/certs/csr.ts'
import type { Solver } from '../../src/model/challenge.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { freePort, listening } from '../harness/ports.ts'

const never = new AbortController().signal
const isMissing = spawnSync('caddy', ['version']).error !== undefined
/** Caddy looks for http-01 answers at port 80, and nowhere else. */
const mayBind = process.getuid?.() === 0

describe("Caddy's ACME server", {
  skip: isMissing ? 'not installed: caddy' : !mayBind && 'port 80 is for root only',
}, () => {
  let caddy: ChildProcess
  let web: http.Server
  let client: HttpClient
  let directory = ''
  const served = new Map<string, string>()

  before(async () => {
    const folder = temporaryFolder('sallyport-caddy-')
    const [port, admin, plain] = [await freePort(), await freePort(), await freePort()]
    const file = path.join(folder, 'Caddyfile')
    writeFileSync(
      file,
      `{
  admin 127.0.0.1:${admin}
  http_port ${plain}
  https_port ${port}
  auto_https disable_redirects
  skip_install_trust
  storage file_system ${folder}/store
}
https://localhost:${port} {
  bind 127.0.0.1
  tls internal
  acme_server
}
`,
    )
    caddy = spawn('caddy', ['run', '--config', file, '--adapter', 'caddyfile'], {
      stdio: 'ignore',
      env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    })
    await listening(port)
    const root = path.join(folder, 'store', 'pki', 'authorities', 'local', 'root.crt')
    while (!existsSync(root)) await new Promise(resolve => setImmediate(resolve))
    client = httpClient({ ca: readFileSync(root, 'utf8') })
    directory = `https://localhost:${port}/acme/local/directory`
    web = http.createServer((request, response) => {
      const answer = served.get(request.url as string)
      response.writeHead(answer === undefined ? 404 : 200).end(answer ?? '')
    })
    await new Promise<void>((resolve, reject) => web.on('error', reject).listen(80, '127.0.0.1', resolve))
  })

  after(() => {
    client?.close()
    caddy?.kill()
    web?.close()
  })

  test('issues by http-01, again from the same account, and says why it does not', async () => {
    let kept: string | null = null
    const solver: Solver = {
      kind: 'http-01',
      fits: (_, wildcard) => !wildcard,
      present: async one => void served.set(`/.well-known/acme-challenge/${one.token}`, one.keyAuthorization),
      remove: async one => void served.delete(`/.well-known/acme-challenge/${one.token}`),
    }
    const issuer = (solvers: readonly Solver[], deadlineMs = 20_000) =>
      acmeIssuer({
        directory,
        http: client,
        account: {
          store: { load: async () => kept, save: async text => void (kept = text) },
          email: 'ops@example.com',
          externalAccount: null,
        },
        solvers,
        profile: null,
        preferredChain: null,
        deadlineMs,
        pace: { firstMs: 20, mostMs: 1_000 },
      })
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const order = {
      names: ['localhost'],
      csrDer: buildCsr(['localhost'], key),
      replaces: null,
      pending: null,
      progress: async () => {},
    }
    for (let times = 0; times < 2; times++) {
      const leaf = new X509Certificate(await issuer([solver]).issue(order, never))
      assert.equal(leaf.subjectAltName, 'DNS:localhost')
      assert.match(leaf.issuer, /Caddy Local Authority/)
    }
    assert.equal(served.size, 0)
    // It has no profiles, and no renewal information.
    assert.equal(await issuer([solver]).renewal('aaa.bbb', never), null)
    // Where no answer is, it goes on looking; our own deadline ends it.
    const nothing: Solver = { ...solver, present: async () => {} }
    await assert.rejects(issuer([nothing], 600).issue(order, never), { kind: /unavailable|challenge/ })
  })
})
