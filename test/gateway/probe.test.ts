/** `sallyport probe`: what it finds behind each policy, and what it says of servers that fall short or are none. */

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { readFlight } from '../../src/cli/probe/flight.ts'
import { policies } from '../../src/model/policies.ts'
import { offerOf } from '../../src/tls/offer.ts'
import { readServerAnswer } from '../../src/wire/server-hello.ts'
import { expiredFiles, intermediateCa, issueFiles, rootCa, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { main } from '../harness/sallyport.ts'

const ca = testCa()
const names = ['modern', 'intermediate', 'legacy', 'ELBSecurityPolicy-TLS-1-2-2017-01']
const hostOf = (name: string) => `${name.toLowerCase()}.test`
let gateway: Started

type Report = {
  accepted: {
    version: string
    ciphers: string[]
    groups: string[]
    graded: { cipher: string; grade: string; why: string }[]
  }[]
  short: string[]
  problem: string | null
  alpn: string[]
  resumption: { tls12: boolean | null; tls13: boolean | null }
  hsts: string | null
  daysLeft: number
  chain: { subject: string }[]
  clientCertificate: string | null
  handshake: string | null
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
  const mutual = (policy: string, verify: 'require' | 'optional') => ({
    host: `${policy}-${verify}.test`,
    certificate: 'local' as const,
    policy,
    clients: { ca: ca.file, verify },
    hsts: { maxAge: 300 },
    routes: [{ respond: { body: 'ok' } }],
  })
  const asking = ['modern', 'intermediate', 'ELBSecurityPolicy-TLS-1-2-2017-01'].flatMap(policy => [
    mutual(policy, 'require'),
    mutual(policy, 'optional'),
  ])
  gateway = await startGateway({
    sites: names
      .map(policy => ({
        host: hostOf(policy),
        certificate,
        policy,
        hsts: { maxAge: 300 },
        routes: [{ respond: { body: 'ok' } }],
      }))
      .concat(asking as never[]),
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

  for (const policy of ['modern', 'intermediate', 'ELBSecurityPolicy-TLS-1-2-2017-01']) {
    it(`says that a client certificate is required under ${policy}, and what it could not look at`, async () => {
      const words = [
        `127.0.0.1:${gateway.port}`,
        '--name',
        `${policy}-require.test`.toLowerCase(),
        '--policy',
        policy,
      ]
      const { out } = await probe(...words, '--ca', gateway.caFile)
      assert.match(out, /^clients +a client certificate is required$/m)
      assert.match(out, /^resumption +.*could not be looked at: a client certificate is required/m)
      assert.match(out, /^HSTS +could not be looked at: a client certificate is required$/m)
      assert.match(out, /^ends +.*days\)$/m)
    })
  }

  it('tells where one may be shown, and nothing is kept back', async () => {
    const words = [`127.0.0.1:${gateway.port}`, '--name', 'intermediate-optional.test', '--json']
    const { out } = await probe(...words, '--ca', gateway.caFile)
    const found = JSON.parse(out) as Report
    assert.equal(found.clientCertificate, 'asked for')
    assert.deepEqual([found.resumption.tls13, found.hsts, found.short], [true, 'max-age=300', []])
  })

  it('shows the chain that the server sends, without the root that is trusted', async () => {
    const root = rootCa()
    const above = intermediateCa(root)
    const leaf = issueFiles(above, ['localhost'], { subject: { commonName: 'the leaf' } })
    const server = tls.createServer({ cert: leaf.chainPem, key: leaf.keyPem }, socket => socket.end()).listen(0)
    await once(server, 'listening')
    const at = `localhost:${(server.address() as net.AddressInfo).port}`
    const { out } = await probe(at, '--ca', root.file, '--json')
    server.close()
    const found = JSON.parse(out) as Report
    assert.equal(found.problem, null)
    assert.deepEqual(
      found.chain.map(({ subject }) => /CN=(.*)/.exec(subject)?.[1]),
      ['the leaf', 'Sallyport test intermediate'],
    )
  })

  it('says since when a certificate has ended', async () => {
    const { chainPem, keyPem } = expiredFiles(ca, ['localhost'])
    const server = tls.createServer({ cert: chainPem, key: keyPem }, socket => socket.end()).listen(0)
    await once(server, 'listening')
    const { out } = await probe(`localhost:${(server.address() as net.AddressInfo).port}`, '--ca', ca.file)
    server.close()
    assert.match(out, /^ends +\S+ \(ended [12] days? ago\)$/m)
    assert.match(out, /the certificate ended [12] days? ago$/m)
  })

  const weak: Record<string, { words: string[]; version: string; cipher: RegExp; library: 'both' | 'openssl' }> = {
    'TLS 1.0 alone': {
      words: ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'],
      version: 'TLS 1.0',
      cipher: /AES128-SHA/,
      library: 'both',
    },
    'DHE-RSA alone': {
      words: ['-tls1_2', '-cipher', 'DHE-RSA-AES128-GCM-SHA256'],
      version: 'TLS 1.2',
      cipher: /DHE-RSA-AES128-GCM-SHA256/,
      library: 'openssl',
    },
  }
  for (const [name, { words, version, cipher, library }] of Object.entries(weak)) {
    it(`reports on a server that speaks ${name}`, async () => {
      await whileServing(words, async at => {
        const { code, out } = await probe(`127.0.0.1:${at}`, '--name', 'localhost', '--ca', ca.file, '--json')
        assert.equal(code, 1)
        const found = JSON.parse(out) as Report
        assert.deepEqual(
          found.accepted.map(each => each.version),
          [version],
        )
        assert.match(found.accepted[0]?.ciphers.join() ?? '', cipher)
        assert.equal(found.chain.length, 1)
        assert.equal(found.daysLeft, 29)
        if (library === 'both' || process.versions['bun'] === undefined)
          assert.deepEqual(
            [found.handshake, found.problem, found.resumption.tls12],
            [null, null, version === 'TLS 1.2'],
          )
        else {
          assert.match(found.handshake ?? '', /handshake failure/)
          assert.equal(found.resumption.tls12, null)
        }
      })
    })
  }

  /** `openssl s_server` while `act` runs; the port is the system's choice. */
  async function whileServing(words: readonly string[], act: (port: string) => Promise<void>): Promise<void> {
    const { chainFile, keyFile } = issueFiles(ca, ['localhost'], { rsa: true })
    const args = ['s_server', '-accept', '127.0.0.1:0', '-cert', chainFile, '-key', keyFile, '-www', ...words]
    const server = spawn('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      let said = ''
      for await (const chunk of server.stdout) if (/ACCEPT .*:\d+/.test((said += chunk))) break
      await act(/ACCEPT .*:(\d+)/.exec(said)?.[1] as string)
    } finally {
      server.kill()
    }
  }

  it('finds the groups of TLS 1.2 where the server prefers static RSA', async () => {
    const ciphers = 'AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'
    const words = ['-tls1_2', '-serverpref', '-cipher', `${ciphers}:@SECLEVEL=0`, '-groups', 'X25519:P-256']
    await whileServing(words, async port => {
      const { out } = await probe(`127.0.0.1:${port}`, '--name', 'localhost', '--json')
      const [found] = (JSON.parse(out) as Report).accepted
      assert.deepEqual(found?.ciphers, ciphers.split(':'))
      assert.deepEqual(found?.groups.toSorted(), ['P-256', 'X25519'])
      assert.deepEqual(
        found?.graded.map(({ cipher, grade }) => [cipher, grade]),
        [['AES128-GCM-SHA256', 'B']],
      )
    })
  })

  it('names ciphers without encryption or authentication, and grades them F', async () => {
    await whileServing(['-tls1_2', '-cipher', 'aNULL:eNULL:@SECLEVEL=0'], async port => {
      const words = [`127.0.0.1:${port}`, '--name', 'localhost']
      const { code, out } = await probe(...words)
      assert.equal(code, 1)
      assert.match(out, /TLS_RSA_WITH_NULL_SHA256 {3}F: does not encrypt/)
      assert.match(out, /TLS_ECDH_anon_WITH_AES_128_CBC_SHA {3}F: does not authenticate the server/)
      assert.match(
        out,
        /ciphers of grade F: .*TLS_DH_anon_WITH_AES_256_GCM_SHA384 \(does not authenticate the server\)/,
      )
      assert.doesNotMatch(out, /0x[0-9a-f]{4}/)
    })
  })

  it('names export ciphers, and grades them F', async () => {
    // No library has them any more: a server that takes what it is offered, and answers with its hello alone.
    const known = [0x0003, 0x0014, 0x0062]
    const server = net.createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', (hello: Buffer) => {
        const session = 44 + (hello[43] as number)
        const offered = Array.from({ length: hello.readUInt16BE(session) / 2 }, (_, at) =>
          hello.readUInt16BE(session + 2 + 2 * at),
        )
        const suite = hello.readUInt16BE(9) === 0x0303 ? known.find(each => offered.includes(each)) : undefined
        if (suite === undefined) {
          socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 40]))
          return
        }
        const body = Buffer.concat([
          Buffer.from([3, 3]),
          Buffer.alloc(32),
          Buffer.from([0, suite >> 8, suite & 255, 0]),
        ])
        const flight = Buffer.concat([Buffer.from([2, 0, 0, body.length]), body, Buffer.from([14, 0, 0, 0])])
        socket.end(Buffer.concat([Buffer.from([22, 3, 3, 0, flight.length]), flight]))
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { out } = await probe(`127.0.0.1:${(server.address() as net.AddressInfo).port}`, '--json')
    server.close()
    const found = JSON.parse(out) as Report
    assert.deepEqual(
      found.accepted.map(({ version, graded }) => [
        version,
        graded.map(({ cipher, grade }) => `${cipher} ${grade}`),
      ]),
      [
        [
          'TLS 1.2',
          [
            'TLS_RSA_EXPORT_WITH_RC4_40_MD5 F',
            'TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA F',
            'TLS_RSA_EXPORT1024_WITH_DES_CBC_SHA F',
          ],
        ],
      ],
    )
  })

  it('shows what a server says with nothing in it that a terminal would obey', async () => {
    const { chainPem, keyPem } = issueFiles(ca, ['localhost'], { subject: { commonName: 'a\u001b[31m\u202eb' } })
    const server = tls.createServer({ cert: chainPem, key: keyPem }, socket => {
      socket.on('error', () => {})
      socket.once('data', () =>
        socket.end(Buffer.from('HTTP/1.1 200 OK\r\nStrict-Transport-Security: \x9b31m\r\n\r\n', 'latin1')),
      )
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const words = [`127.0.0.1:${(server.address() as net.AddressInfo).port}`, '--name', 'localhost']
    const [{ out }, { out: json }] = await Promise.all([probe(...words), probe(...words, '--json')])
    server.close()
    assert.match(out, /^HSTS +\\u009b31m$/m)
    for (const text of [out, json])
      assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/)
    assert.equal((JSON.parse(json) as Report).hsts, '\u009b31m')
  })

  it('says what it did not look at', async () => {
    const { out } = await probe(`127.0.0.1:${gateway.port}`, '--name', 'modern.test', '--ca', ca.file)
    assert.match(out, /^not tried +SSL 2\.0, SSL 3\.0/m)
    assert.match(out, /^ +known vulnerabilities of implementations$/m)
    const { out: json } = await probe(`127.0.0.1:${gateway.port}`, '--name', 'modern.test', '--json')
    assert.ok((JSON.parse(json) as { notLookedAt: string[] }).notLookedAt.length > 3)
  })

  it('says in a sentence why there is nothing to report', async () => {
    const answering = async (answer: string) => {
      const server = net
        .createServer(socket => void socket.once('data', () => socket.end(answer)))
        .listen(0, '127.0.0.1')
      await once(server, 'listening')
      const at = `127.0.0.1:${(server.address() as net.AddressInfo).port}`
      const { code, out, err } = await probe(at)
      server.close()
      assert.deepEqual([code, out], [1, ''])
      return err.replace(`${at}: `, '')
    }
    assert.equal(await answering('HTTP/1.1 400 Bad Request\r\n\r\n'), 'speaks HTTP without TLS here\n')
    assert.equal(await answering('SSH-2.0-x\r\n'), 'does not speak TLS here; it says "SSH-2.0-x"\n')
    const closed = await probe('127.0.0.1:1')
    assert.deepEqual([closed.code, closed.out], [1, ''])
    assert.equal(closed.err, '127.0.0.1:1: refuses the connection: nothing listens on port 1\n')
    const unknown = await probe('no.such.invalid')
    assert.deepEqual([unknown.code, unknown.out], [1, ''])
    assert.match(
      unknown.err,
      /^no\.such\.invalid:443: there is no address for the name no\.such\.invalid \(E[A-Z_]+\)\n$/,
    )
  })

  it('reads a first flight that is cut anywhere without a throw', () => {
    const body = Buffer.concat([Buffer.from([0, 0, 6, 0, 0, 3]), Buffer.from('der')])
    const messages = Buffer.concat([
      Buffer.from([11, 0, 0, body.length]),
      body,
      Buffer.from([13, 0, 0, 0, 14, 0, 0, 0]),
    ])
    const flight = Buffer.concat([Buffer.from([22, 3, 3, 0, messages.length]), messages])
    for (let end = 0; end < flight.length; end++) assert.equal(readFlight(flight.subarray(0, end)).done, false)
    assert.deepEqual(readFlight(flight), {
      flight: { chain: [Buffer.from('der')], asksForCertificate: true },
      done: true,
    })
    for (let at = 5; at < flight.length; at++) readFlight(Buffer.from(flight.with(at, 255)))
  })

  it('refuses what it cannot understand with exit code 2', async () => {
    assert.equal((await probe()).code, 2)
    assert.equal((await probe('a b')).code, 2)
    assert.equal((await probe('localhost', '--policy', 'moden')).code, 2)
    assert.equal((await probe('localhost', '--ca', '/nowhere.pem')).code, 2)
    for (const at of ['localhost:99999', 'localhost:0']) {
      const { code, err } = await probe(at)
      assert.deepEqual([code, /a port is 1 to 65535, not/.test(err)], [2, true])
    }
    const key = await probe('localhost', '--ca', issueFiles(ca, ['a.test']).keyFile)
    assert.deepEqual([key.code, /holds a private key and no certificate/.test(key.err)], [2, true])
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
