/** Backends that are verified by SPIFFE id: who is taken for the backend, on new and resumed connections, and who is not. */
import assert from 'node:assert/strict'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { ask } from '../harness/ask.ts'
import {
  type IssuedFiles,
  type IssueOptions,
  issueFiles,
  selfSignedFiles,
  temporaryFolder,
  testCa,
} from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'

const ca = testCa('Trust domain')
const other = testCa('Others')
const pay = 'spiffe://example.org/ns/shop/sa/pay'
const below = 'spiffe://example.org/ns/x/*'
const issue = (uris: readonly string[], names: readonly string[] = [], more: IssueOptions = {}) =>
  issueFiles(ca, names, { uris, subject: { commonName: 'backend' }, ...more })

type Case = readonly [files: IssuedFiles, taken: boolean, tls?: object]
const cases: Record<string, Case> = {
  'the id': [issue([pay]), true],
  'the id, and another DNS name': [issue([pay], ['other.test']), true],
  'an id below': [issue(['spiffe://example.org/ns/x/sa/any']), true],
  'another id': [issue(['spiffe://example.org/ns/shop/sa/web']), false],
  'another trust domain': [issue(['spiffe://example.com/ns/shop/sa/pay']), false],
  'an id that begins like it': [issue([`${pay}x`]), false],
  'an id below it': [issue([`${pay}/x`]), false],
  'a sibling that begins like the folder': [issue(['spiffe://example.org/ns/xy']), false],
  'the folder itself': [issue(['spiffe://example.org/ns/x']), false],
  'the folder with a slash': [issue(['spiffe://example.org/ns/x/']), false],
  'a way out of the folder': [issue(['spiffe://example.org/ns/x/../shop/sa/web']), false],
  'a way out of the folder, encoded': [issue(['spiffe://example.org/ns/x/%2e%2e/shop']), false],
  'a query': [issue([`${pay}?x`]), false],
  'the pattern itself': [issue([below]), false],
  'no id': [issue([]), false],
  'no id, and the right DNS name': [issue([], ['localhost', '127.0.0.1']), false],
  'the id as common name only': [issue([], [], { subject: { commonName: pay } }), false],
  'the id and another': [issue([pay, 'spiffe://example.org/ns/shop/sa/web']), false],
  'another and the id': [issue(['https://example.org/', pay]), false],
  'the id, of another CA': [issueFiles(other, ['127.0.0.1'], { uris: [pay] }), false],
  'the id, signed by itself': [selfSignedFiles(['127.0.0.1'], { uris: [pay] }), false],
  'the id, expired': [issue([pay], ['127.0.0.1'], { expired: true }), false],
  'the id, not valid yet': [issue([pay], [], { future: true }), false],
  'the id, for clients only': [issue([pay], [], { use: ['clientAuth'] }), false],
  'the id, and the name that is asked for': [issue([pay], ['in.test']), true, { serverName: 'in.test' }],
  'the id, and not the name that is asked for': [issue([pay], ['out.test']), false, { serverName: 'in.test' }],
  'the name that is asked for, and no id': [issue([], ['in.test']), false, { serverName: 'in.test' }],
}
const versions = ['TLSv1.2', 'TLSv1.3'] as const

describe('backends by SPIFFE id', () => {
  const servers: tls.Server[] = []
  const resumed = new Map<string, boolean[]>()
  let gateway: Started
  const hostOf = (name: string, version: string) =>
    `${name.toLowerCase().replace(/[^a-z]+/g, '-')}.${version.at(-1)}.test`

  before(async () => {
    const sites = []
    for (const [name, [files, , more = {}]] of Object.entries(cases)) {
      for (const version of versions) {
        const seen: boolean[] = []
        const server = tls.createServer(
          { cert: files.chainPem, key: files.keyPem, minVersion: version, maxVersion: version },
          socket => {
            socket.on('error', () => {})
            socket.on('data', () => {
              seen.push(socket.isSessionReused())
              socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine')
            })
          },
        )
        server.on('tlsClientError', () => {})
        await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
        servers.push(server)
        const host = hostOf(name, version)
        resumed.set(host, seen)
        const endpoints = `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`
        const tlsTerms = { ca: ca.file, spiffe: [pay, below], ...more }
        sites.push({ host, certificate: 'local', to: { endpoints, http: 1, pool: { idle: 0 }, tls: tlsTerms } })
      }
    }
    gateway = await startGateway({ sites: sites as never })
  })

  after(async () => {
    await gateway.stop()
    for (const server of servers) server.close()
  })

  for (const [name, [, taken]] of Object.entries(cases)) {
    for (const version of versions) {
      it(`${name}: ${taken ? 'taken' : 'refused'}, once and again (${version})`, async () => {
        const host = hostOf(name, version)
        for (let times = 0; times < 3; times++) {
          const { status, body } = await ask('HTTP/1.1', gateway.port, { host })
          assert.deepEqual([status, taken ? body : ''], taken ? [200, 'fine'] : [502, ''])
        }
        // A refused backend has not seen a byte of a request.
        assert.equal(resumed.get(host)?.length, taken ? 3 : 0)
        if (!taken) return
        assert.ok(resumed.get(host)?.some(Boolean), 'no session was taken up again')
      })
    }
  }

  it('says in the log what the certificate is for', async () => {
    await ask('HTTP/1.1', gateway.port, { host: hostOf('another id', 'TLSv1.3') })
    const record = await gateway.logged(each => String(each['why']).includes('ns/shop/sa/web, not for'))
    assert.equal(record['error'], 'UPSTREAM_TLS')
  })
})

describe('the configuration of SPIFFE ids', () => {
  const start = (tlsTerms: object) =>
    startGateway({
      state: temporaryFolder(),
      sites: [{ host: 'a.test', certificate: 'local', to: { endpoints: 'https://127.0.0.1:1', tls: tlsTerms } }],
    })

  it('fails closed', async () => {
    await assert.rejects(start({ spiffe: [pay] }), /tls\.spiffe needs tls\.ca/)
    await assert.rejects(start({ spiffe: [pay], ca: ca.file, verify: false }), /nothing would be verified/)
    await assert.rejects(start({ spiffe: [], ca: ca.file }), /spiffe/)
    for (const id of [
      'https://example.org/x',
      'spiffe://Example.org/x',
      'spiffe://',
      'spiffe://*',
      'spiffe:///x',
      'spiffe://example.org/x*',
      'spiffe://example.org/*/x',
      'spiffe://example.org/x/',
      'spiffe://example.org/../x',
      'spiffe://example.org/x?y',
      '*',
    ])
      await assert.rejects(start({ spiffe: [id], ca: ca.file }), /is not a SPIFFE id/, id)
    await (await start({ spiffe: 'spiffe://example.org/*', ca: ca.file })).stop()
  })
})
