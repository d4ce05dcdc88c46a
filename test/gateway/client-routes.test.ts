/** Routes for some clients only: the example of docs/tls.md does what the page says, and `explain` and `check` say it too. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import type { RouteInput } from '../../src/config/config.ts'
import { ask, versions } from '../harness/ask.ts'
import { type IssuedFiles, issueClientFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { main } from '../harness/sallyport.ts'

const page = readFileSync(new URL('../../docs/tls.md', import.meta.url), 'utf8')
const example = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].find(([, text]) =>
  text?.includes('clients: require'),
)?.[1]
const ca = testCa('Staff')
const ops = issueClientFiles(ca, 'ops', { uris: ['spiffe://example.org/ops/anna'] })
const staff = issueClientFiles(ca, 'staff')

type Example = { sites: { host: string; clients: object; routes: (RouteInput & { to?: string })[] }[] }
const portal = (parse(example as string) as Example).sites[1] as Example['sites'][number]
// In place of each backend, an answer that says which it is.
const routes = portal.routes.map(({ to, ...route }) =>
  to === undefined ? route : { ...route, respond: { body: to } },
) as RouteInput[]

let gateway: Started
before(async () => {
  const listen = [
    { port: 0, address: '127.0.0.1' },
    { port: 0, address: '127.0.0.1', cleartext: 'serve' as const },
  ]
  const site = {
    host: portal.host,
    certificate: 'local' as const,
    clients: { ca: ca.file, verify: 'optional' as const },
  }
  gateway = await startGateway({ listen, sites: [{ ...site, routes }] })
})
after(() => gateway.stop())

function cli(text: string, ...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const folder = temporaryFolder()
  const file = path.join(folder, 'sallyport.yaml')
  writeFileSync(file, text)
  for (const name of ['a.pem', 'b.pem']) writeFileSync(path.join(folder, name), ca.certificatePem)
  return new Promise(resolve =>
    execFile(process.execPath, [main, ...words, '-c', file], (error, out, err) =>
      resolve({
        code: typeof error?.code === 'number' ? error.code : 0,
        out: out.replaceAll(`${folder}/`, ''),
        err,
      }),
    ),
  )
}

describe('the example of mutual TLS in docs/tls.md', () => {
  const cases: [path: string, client: IssuedFiles | null, status: number, body: string][] = [
    ['/admin/x', ops, 200, 'http://10.0.0.8:80'],
    ['/admin/x', staff, 403, ''],
    ['/admin/x', null, 403, ''],
    ['/account/x', staff, 200, 'http://10.0.0.9:80'],
    ['/account/x', null, 403, ''],
    ['/', null, 200, 'http://10.0.0.7:8080'],
    ['/', staff, 200, 'http://10.0.0.7:8080'],
  ]
  for (const version of versions)
    for (const [target, client, status, body] of cases) {
      const who = client === null ? 'nobody' : client === ops ? 'ops' : 'staff'
      it(`answers ${status} to ${who} for ${target} over ${version}`, async () => {
        const tls = client === null ? {} : { cert: client.chainPem, key: client.keyPem }
        const answer = await ask(version, gateway.port, { host: portal.host, path: target, tls })
        assert.equal(answer.status, status)
        if (status === 200) assert.equal(answer.body, body)
      })
    }

  it('is one that check finds nothing in', async () => {
    const text = `listen: [{ port: 443 }]\n${(example as string).replace(/(partners|staff)\.(pem|crl)/g, 'a.pem').replace(' crl: a.pem,', '')}`
    const { code, err } = await cli(text, 'check')
    assert.deepEqual([code, err], [0, ''])
  })
})

describe('check of routes for some clients', () => {
  const site = (routes: string, verify = 'optional') =>
    `listen: [{ port: 443 }]\nsites:\n  - host: a.test\n    certificate: local\n    clients: { ca: a.pem, verify: ${verify} }\n    routes:\n${routes}`
  const some = 'client: [{ san: x.test }]'

  it('warns of clients: require beside match.client', async () => {
    const { code, err } = await cli(
      site(`      - { match: { ${some} }, clients: require, respond: {} }\n`),
      'check',
    )
    assert.equal(code, 0)
    assert.match(err, /sallyport\.yaml:7:\d+: warning: clients: require has no effect together with match\.client/)
  })

  const open: Record<string, string> = {
    'a catch-all': '{ respond: { body: all } }',
    'the same path': '{ match: { path: /admin/* }, respond: { body: all } }',
    'a longer path': '{ match: { path: /*/* }, respond: { body: all } }',
    'one method': '{ match: { method: POST }, respond: { body: all } }',
    'a header': '{ match: { header: { x-a: b } }, respond: { body: all } }',
  }
  for (const [name, route] of Object.entries(open)) {
    it(`says who else gets in by ${name}`, async () => {
      const text = `      - { match: { path: /admin/*, ${some} }, respond: {} }\n      - ${route}\n`
      const { err } = await cli(site(text), 'check')
      assert.match(
        err,
        /sallyport\.yaml:7:\d+: warning: \/admin\/\* is not closed to others: a client that does not match here, even one without a/,
      )
      assert.match(
        (await cli(site(text, 'require'), 'check')).err,
        /others: a client that .* has a certificate from .*a\.pem/,
      )
    })
  }

  const closed: Record<string, string> = {
    'the others are refused':
      '{ match: { path: /admin/* }, respond: { status: 403 } }\n      - { respond: { body: all } }',
    'the others must show one':
      '{ match: { path: /admin/* }, clients: require, respond: {} }\n      - { respond: {} }',
    'nothing else takes the path': '{ match: { path: /other }, respond: {} }',
  }
  for (const [name, route] of Object.entries(closed)) {
    it(`is quiet where ${name}`, async () => {
      const text = `      - { match: { path: /admin/*, ${some} }, respond: {} }\n      - ${route}\n`
      assert.doesNotMatch((await cli(site(text), 'check')).err, /is not closed to others/)
    })
  }
})

describe('explain of sites with client certificates', () => {
  const text = `listen: [{ port: 443 }, { port: 80, cleartext: serve }]
sites:
  - { host: pay.test, certificate: local, clients: { ca: [a.pem, b.pem], allow: [{ san: x.test }] }, to: "http://10.0.0.1:80" }
  - host: portal.test
    certificate: local
    clients: { ca: a.pem, verify: optional }
    routes:
      - { match: { path: /admin/*, client: [{ spiffe: "spiffe://x.test/ops/*" }] }, to: "http://10.0.0.8:80" }
      - { match: { path: /admin/* }, respond: { status: 403 } }
      - { match: { path: /own }, clients: require, to: "http://10.0.0.9:80" }
      - { to: "http://10.0.0.7:80" }
  - { host: raw.test, certificate: local, clients: { ca: a.pem }, tcp: { to: ["10.0.0.1:1"] } }
`
  const explain = async (url: string) => (await cli(text, 'explain', url)).out

  it('says the 403 that a request in the open gets', async () => {
    const out = await explain('http://pay.test/')
    assert.match(out, /^answer +403 \(CLIENT_CERTIFICATE\)$/m)
    assert.doesNotMatch(out, /upstream|10\.0\.0\.1/)
    const own = await explain('http://portal.test/own')
    assert.match(own, /^answer +403 \(CLIENT_CERTIFICATE\): the route requires a certificate/m)
    assert.doesNotMatch(own, /10\.0\.0\.9/)
    assert.match(await explain('http://raw.test/'), /^answer +421 /m)
    const real = await ask('HTTP/1.1', gateway.ports[1] as number, {
      host: portal.host,
      path: '/account/x',
      plain: true,
    })
    assert.equal(real.status, 403)
  })

  it('says who must show a certificate of which CAs', async () => {
    const site = await explain('https://pay.test/')
    assert.match(
      site,
      /^clients +a certificate is required, one signed by a\.pem or b\.pem, on the list .*san x\.test; without/m,
    )
    assert.match(site, /^endpoint +10\.0\.0\.1:80/m)
    assert.match(await explain('https://raw.test/'), /^clients +a certificate is required, one signed by a\.pem;/m)
    const route = await explain('https://portal.test/own')
    assert.match(route, /^clients +a certificate may be shown, one signed by a\.pem$/m)
    assert.match(
      route,
      /^clients +the route requires a certificate signed by a\.pem; without one the answer is 403 /m,
    )
  })

  it('says what depends on the certificate', async () => {
    const out = await explain('https://portal.test/admin/x')
    assert.match(
      out,
      /^route +portal\.test\/admin\/\* \(path \/admin\/\*\) for clients whose certificate has spiffe spiffe:\/\/x\.test\/ops\/\*\nupstream .*\nendpoint +10\.0\.0\.8:80 .*\nroute +portal\.test\/admin\/\*#2 .* for everybody else\nanswer +403 from the configuration$/m,
    )
    const plain = await explain('http://portal.test/admin/x')
    assert.doesNotMatch(plain, /10\.0\.0\.8/)
    assert.match(plain, /^answer +403 from the configuration$/m)
    assert.doesNotMatch(await explain('https://portal.test/'), /everybody else/)
  })
})
