/** `sallyport probe`: what it finds behind each policy, and what it says of servers that fall short or are none. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { policies } from '../../src/model/policies.ts'
import { offerOf } from '../../src/tls/offer.ts'
import { readServerAnswer } from '../../src/wire/server-hello.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'

const main = path.resolve(import.meta.dirname, '../../src/cli/main.ts')
const ca = testCa()
const names = ['modern', 'intermediate', 'legacy', 'ELBSecurityPolicy-TLS-1-2-2017-01']
const hostOf = (name: string) => `${name.toLowerCase()}.test`
let gateway: Started

type Report = {
  accepted: { version: string; ciphers: string[]; groups: string[] }[]
  short: string[]
  problem: string | null
  alpn: string[]
  resumption: { tls12: boolean; tls13: boolean }
  hsts: string | null
  daysLeft: number
}

function probe(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve =>
    execFile(process.execPath, [main, 'probe', ...words], (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    ),
  )
}

async function report(name: string, ...more: string[]): Promise<{ code: number; report: Report }> {
  const { code, out } = await probe(`127.0.0.1:${gateway.port}`, '--name', hostOf(name), '--json', ...more)
  return { code, report: JSON.parse(out) as Report }
}

before(async () => {
  const hosts = names.map(hostOf)
  const [ecdsa, rsa] = [issueFiles(ca, hosts), issueFiles(ca, hosts, { rsa: true })]
  const certificate = [ecdsa, rsa].map(files => ({ chain: files.chainFile, key: files.keyFile }))
  gateway = await startGateway({
    sites: names.map(policy => ({
      host: hostOf(policy),
      certificate,
      policy,
      hsts: { maxAge: 300 },
      routes: [{ respond: { body: 'ok' } }],
    })),
  })
})

after(() => gateway.stop())

describe('probe', () => {
  for (const name of names) {
    it(`finds exactly what ${name} offers`, async () => {
      const { policy } = offerOf(policies[name] as (typeof policies)[string])
      const { report: found } = await report(name, '--ca', ca.file, '--policy', name)
      const of = (version: string) => found.accepted.find(each => each.version === version)
      assert.deepEqual(
        of('TLS 1.3')?.ciphers.toSorted() ?? [],
        policy.maxVersion === 'TLSv1.3' ? policy.suites.toSorted() : [],
      )
      assert.deepEqual(
        of('TLS 1.2')?.ciphers.toSorted() ?? [],
        policy.minVersion === 'TLSv1.3' ? [] : policy.ciphers.toSorted(),
      )
      if (policy.maxVersion === 'TLSv1.3') assert.deepEqual(of('TLS 1.3')?.groups, policy.groups)
      assert.equal(of('TLS 1.0') !== undefined, policy.minVersion === 'TLSv1')
      assert.deepEqual(found.short, [])
      assert.equal(found.problem, null)
      assert.deepEqual(found.alpn, ['h2', 'http/1.1'])
      assert.equal(found.hsts, 'max-age=300')
      assert.equal(found.daysLeft, 29)
      assert.equal(found.resumption.tls13, policy.maxVersion === 'TLSv1.3')
    })
  }

  it('says where a server falls short, with exit code 1', async () => {
    const { code, report: found } = await report('legacy')
    assert.equal(code, 1)
    const all = found.short.join('\n')
    assert.match(all, /^TLS 1\.2: ciphers outside of intermediate: .*AES128-SHA/m)
    assert.match(all, /^TLS 1\.0 is accepted; intermediate begins with TLSv1\.2$/m)
    assert.match(all, /^the certificate does not verify: /m)
    const { code: strict } = await report('intermediate', '--ca', ca.file, '--policy', 'modern')
    assert.equal(strict, 1)
    const { code: met, out } = await probe(`127.0.0.1:${gateway.port}`, '--name', 'modern.test', '--ca', ca.file)
    assert.equal(met, 0)
    assert.match(out, /^verifies +yes$/m)
    assert.match(out, /^intermediate met$/m)
  })

  it('notices another name', async () => {
    const { code, out } = await probe(
      `localhost:${gateway.port}`,
      '--name',
      'modern.test',
      '--ca',
      ca.file,
      '--policy',
      'modern',
    )
    assert.equal(code, 0, out)
    const other = await probe(`127.0.0.1:${gateway.port}`, '--ca', ca.file)
    assert.equal(other.code, 1)
  })

  it('copes with a port that is closed, and one that speaks no TLS', async () => {
    const closed = await probe('127.0.0.1:1')
    assert.deepEqual([closed.code, closed.out], [1, ''])
    assert.match(closed.err, /^127\.0\.0\.1:1: /)
    const server = net.createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const { code, err } = await probe(`127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    assert.equal(code, 1)
    assert.ok(err.length > 10)
    server.close()
  })

  it('refuses what it cannot understand with exit code 2', async () => {
    assert.equal((await probe()).code, 2)
    assert.equal((await probe('a b')).code, 2)
    assert.equal((await probe('localhost', '--policy', 'moden')).code, 2)
    assert.equal((await probe('localhost', '--ca', '/nowhere.pem')).code, 2)
  })

  it('reads answers that are cut anywhere, or are nonsense, without a throw', () => {
    let seed = 5
    for (let run = 0; run < 5000; run++) {
      const bytes = Buffer.from(
        Array.from({ length: 80 }, () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff) >> 16),
      )
      bytes[0] = 22
      bytes[1] = 3
      bytes[3] = 0
      bytes[4] = run % 76
      bytes[5] = 2
      readServerAnswer(bytes.subarray(0, run % 81))
    }
  })
})
