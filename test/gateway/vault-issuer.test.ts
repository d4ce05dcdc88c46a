/** Vault's PKI as an issuer, against a server that is as strict as Vault about paths, tokens and parameters. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { buildCsr } from '../../src/certs/x509/csr.ts'
import { readCsr } from '../../src/certs/x509/csr-read.ts'
import { IssueError, type IssueFailure } from '../../src/model/issuer.ts'
import { vaultIssuer } from '../../src/vault/issuer.ts'
import type { VaultAuth } from '../../src/vault/login.ts'
import { newKey } from '../harness/acme-client.ts'
import { ask } from '../harness/ask.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { startGateway } from '../harness/gateway.ts'
import { internalCa } from '../harness/internal-ca.ts'

type Asked = {
  path: string
  token: string | undefined
  namespace: string | undefined
  body: Record<string, string>
}
type Reply = { status: number; body?: unknown; text?: string; headers?: Record<string, string> }

describe('the Vault issuer', () => {
  const ca = testCa()
  const own = issueFiles(ca, ['localhost'])
  const { authority } = internalCa()
  const root = readFileSync(authority.ca.rootFile as string, 'utf8')
  const tokens = new Set(['s.static'])
  let asked: Asked[] = []
  let logins = 0
  /** Replaces the answer to sign */
  let instead: ((asked: Asked) => Reply) | null = null
  const deny: Reply = { status: 403, body: { errors: ['permission denied'] } }

  const sign = async ({ body }: Asked): Promise<Reply> => {
    const pem = /REQUEST-----([^-]*)-----END/.exec(body['csr'] ?? '')?.[1] ?? ''
    const csr = readCsr(Buffer.from(pem, 'base64'))
    if (!body['common_name']) return { status: 400, body: { errors: ['the common_name field is required'] } }
    const issued = await authority.issue({ ...csr, use: ['server'], lifetimeMs: 3_600_000, requester: 'vault' })
    const [leaf] = issued.chainPem.split(/(?<=-----END CERTIFICATE-----\n)/)
    // Vault gives the chain with its root, and in an order that need not be ours.
    return {
      status: 200,
      body: {
        data: { certificate: leaf, issuing_ca: authority.ca.chainPem, ca_chain: [root, authority.ca.chainPem] },
      },
    }
  }

  const reply = async (one: Asked): Promise<Reply> => {
    if (one.path === '/v1/auth/approle/login' || one.path === '/v1/auth/k8s/login') {
      const { role_id, secret_id, role, jwt } = one.body
      if (
        one.path.includes('approle') ? role_id !== 'gw' || secret_id !== 'hush' : role !== 'gw' || jwt !== 'eyJ.a.b'
      )
        return { status: 400, body: { errors: ['invalid role or secret ID'] } }
      const token = `s.login${++logins}`
      tokens.add(token)
      return { status: 200, body: { auth: { client_token: token, lease_duration: 3600 } } }
    }
    if (!tokens.has(one.token ?? '')) return deny
    if (one.path === '/v1/auth/token/renew-self') return { status: 200, body: {} }
    if (one.path === '/v1/pki/int/revoke') return { status: 200, body: { data: {} } }
    if (one.path === '/v1/pki/int/sign/web') return instead === null ? sign(one) : instead(one)
    return { status: 404, body: { errors: ['no handler for route'] } }
  }

  const server = https.createServer({ cert: own.chainPem, key: own.keyPem }, (request, response) => {
    let text = ''
    request.on('data', chunk => void (text += chunk))
    request.on('end', async () => {
      const one: Asked = {
        path: request.url ?? '',
        token: request.headers['x-vault-token'] as string | undefined,
        namespace: request.headers['x-vault-namespace'] as string | undefined,
        body: JSON.parse(text),
      }
      asked.push(one)
      const { status, body, text: raw, headers } = await reply(one)
      response.writeHead(status, headers).end(raw ?? JSON.stringify(body))
    })
  })
  before(() => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve)))
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  const issuer = (auth: VaultAuth = { kind: 'token', token: 's.static' }, change: object = {}) =>
    vaultIssuer({
      address: `https://localhost:${(server.address() as AddressInfo).port}`,
      namespace: null,
      trust: { ca: ca.certificatePem },
      mount: 'pki/int',
      role: 'web',
      ttlMs: null,
      auth,
      ...change,
    })
  const order = (names: readonly string[], key = newKey()) => ({
    names,
    csrDer: buildCsr(names, key),
    replaces: null,
    pending: null,
    progress: async () => {},
  })
  const never = new AbortController().signal
  const fails = (kind: IssueFailure, why: RegExp) => (error: unknown) =>
    error instanceof IssueError &&
    error.kind === kind &&
    why.test(error.message) &&
    !/s\.static|hush|s\.login/.test(error.message)

  test('gives a chain, the leaf first and without its root, for names of every kind', async () => {
    asked = []
    const key = newKey()
    const pem = await issuer(undefined, { ttlMs: 5_400_000, namespace: 'team/a' }).issue(
      order(['a.internal', '*.b.internal', '10.0.0.7'], key),
      never,
    )
    assert.equal(pem.match(/BEGIN CERTIFICATE/g)?.length, 2)
    assert.equal(new X509Certificate(pem).checkPrivateKey(key), true)
    const last = asked.at(-1) as Asked
    assert.deepEqual(
      [last.namespace, last.body['ttl'], last.body['alt_names'], last.body['ip_sans'], last.body['common_name']],
      ['team/a', '5400s', 'a.internal,*.b.internal', '10.0.0.7', 'a.internal'],
    )
    assert.equal(await issuer().renewal('x', never), null)
    await issuer().revoke(new X509Certificate(pem).raw, 1, never)
    assert.match((asked.at(-1) as Asked).body['serial_number'] as string, /^([0-9a-f]{2}:)+[0-9a-f]{2}$/)
  })

  test('gives a gateway the certificate of a site that says certificate: vault', async () => {
    const gateway = await startGateway({
      sites: [{ host: 'a.internal', certificate: 'vault', routes: [{ respond: { body: 'hello' } }] }],
      vault: {
        address: `https://localhost:${(server.address() as AddressInfo).port}`,
        ca: ca.file,
        mount: 'pki/int',
        role: 'web',
        auth: { token: 's.static' },
      },
    })
    try {
      await gateway.logged(record => record['message'] === 'certificate obtained')
      const [row] = gateway.gateway.certificates()
      assert.deepEqual([row?.names, row?.state], [['a.internal'], 'serving'])
      assert.match(row?.source ?? '', /^vault https:\/\/localhost:\d+\/pki\/int\/web$/)
      assert.equal((await ask('HTTP/2', gateway.port, { host: 'a.internal' })).status, 200)
      await gateway.gateway.managed.renew('a.internal')
      assert.ok(!JSON.stringify(gateway.logs()).includes('s.static'))
    } finally {
      await gateway.stop()
    }
  })

  test('logs in by AppRole and Kubernetes, once, and again when its token is refused', async () => {
    const folder = temporaryFolder()
    const file = (text: string) => {
      const name = path.join(folder, `${Math.random()}`)
      writeFileSync(name, text)
      return name
    }
    for (const auth of [
      { kind: 'approle', mount: 'approle', roleId: 'gw', secret: { file: file('hush\n') } },
      { kind: 'kubernetes', mount: 'k8s', role: 'gw', jwtFile: file('eyJ.a.b') },
    ] as const) {
      logins = 0
      const one = issuer(auth)
      await one.issue(order(['a.internal']), never)
      await one.issue(order(['a.internal']), never)
      assert.equal(logins, 1)
      tokens.clear()
      await one.issue(order(['a.internal']), never)
      assert.equal(logins, 2)
    }
    tokens.add('s.static')
    await issuer({ kind: 'tokenFile', file: file('s.static\n') }).issue(order(['a.internal']), never)
    const wrong = issuer({ kind: 'approle', mount: 'approle', roleId: 'gw', secret: { value: 'x' } })
    await assert.rejects(
      wrong.issue(order(['a.internal']), never),
      fails('rejected', /login by approle: 400 invalid role/),
    )
    await assert.rejects(
      issuer({ kind: 'tokenFile', file: file('a\nb') }).issue(order(['a.internal']), never),
      fails('rejected', /no token/),
    )
    await assert.rejects(
      issuer({ kind: 'token', token: 's.other' }).issue(order(['a.internal']), never),
      fails('rejected', /403 permission denied/),
    )
  })

  test('says of every failure what kind it is', async () => {
    const other = await authority.issue({
      publicKey: readCsr(buildCsr(['a.internal'], newKey())).publicKey,
      names: ['a.internal'],
      uris: [],
      use: ['server'],
      lifetimeMs: 3_600_000,
      requester: 'x',
    })
    const cases: [Reply, IssueFailure, RegExp][] = [
      [
        { status: 400, body: { errors: ['name not allowed \u0007by role'] } },
        'rejected',
        /400 name not allowed by role/,
      ],
      [{ status: 404, body: {} }, 'rejected', /404/],
      [{ status: 429, headers: { 'retry-after': '120' }, body: {} }, 'rate-limited', /429/],
      [{ status: 503, body: { errors: ['Vault is sealed'] } }, 'unavailable', /sealed/],
      [{ status: 502, text: '<html>' }, 'unavailable', /502/],
      [{ status: 473, body: {} }, 'unavailable', /473/],
      [{ status: 307, headers: { location: 'https://evil.example/' }, body: {} }, 'unavailable', /307/],
      [{ status: 200, text: 'null' }, 'unavailable', /JSON object/],
      [{ status: 200, text: 'x'.repeat(2_000_000) }, 'unavailable', /larger than 1mb/],
      [{ status: 200, body: {} }, 'unavailable', /no certificate/],
      [{ status: 200, body: { data: { certificate: 'x' } } }, 'wrong-certificate', /cannot be read/],
      [{ status: 200, body: { data: { certificate: other.chainPem } } }, 'wrong-certificate', /another key/],
    ]
    for (const [answer, kind, why] of cases) {
      instead = () => answer
      await assert.rejects(issuer().issue(order(['a.internal']), never), error => {
        assert.ok(fails(kind, why)(error), `${kind} ${why}: ${(error as IssueError).kind} ${error}`)
        if (kind === 'rate-limited')
          assert.ok(Math.abs(((error as IssueError).retryAt as number) - Date.now() - 120_000) < 10_000)
        return true
      })
    }
    instead = null
    const fewer = { ...order(['a.internal']), names: ['a.internal', 'b.internal'] }
    await assert.rejects(issuer().issue(fewer, never), fails('wrong-certificate', /not for b\.internal/))
    await assert.rejects(
      issuer(undefined, { trust: { ca: null } }).issue(order(['a.internal']), never),
      fails('unavailable', /certificate|self|issuer/i),
    )
    await assert.rejects(
      issuer().issue(order(['a.internal']), AbortSignal.abort()),
      fails('cancelled', /cancelled/),
    )
  })
})
