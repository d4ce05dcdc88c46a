/** The ACME server on its port: bounds on bytes and time, challenges over real connections, and one process at a time. */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import dgram from 'node:dgram'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { requestMs, serveAcme } from '../../src/acme-server/serve.ts'
import { ChallengeFailure, validator } from '../../src/acme-server/validate.ts'
import { toPem } from '../../src/base/pem.ts'
import * as der from '../../src/certs/x509/der.ts'
import {
  alternativeNames,
  encodeName,
  extension,
  signatureAlgorithm,
  signSequence,
} from '../../src/certs/x509/x509-build.ts'
import { startInternalCa } from '../../src/gateway/certificates/internal-ca.ts'
import { TestAcmeClient } from '../harness/acme-client.ts'
import { acmeServer, askHttps, servedCa } from '../harness/internal-ca.ts'

type Served = Awaited<ReturnType<typeof servedCa>>

/** Sends text over TLS and gives what came back until the connection ended. */
function exchange(served: Served, text: string, hold = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const port = Number(new URL(served.directory).port)
    const socket = tls.connect(
      { host: '127.0.0.1', port, servername: 'localhost', ca: readFileSync(served.rootFile) },
      () => {
        socket.write(text)
        if (!hold) return
      },
    )
    let received = ''
    socket.on('data', chunk => void (received += chunk))
    // A server that has enough may reset the connection; what it said first counts.
    socket.on('error', error =>
      received === '' && /ECONN|EPIPE/.test(error.message) ? resolve('') : resolve(received),
    )
    socket.on('close', () => resolve(received))
    socket.on('error', () => reject)
  })
}

describe('the ACME server on a port', () => {
  let served: Served
  before(async () => {
    served = await servedCa({ challenges: 'http-01' }, ['a.internal'])
  })
  after(() => served.server.close())

  test('has a certificate of the CA for its own name', async () => {
    const base = served.directory.replace('/directory', '')
    const answer = await askHttps(
      base,
      served.rootFile,
    )({ method: 'GET', path: '/directory', contentType: '', body: Buffer.alloc(0) })
    assert.equal(JSON.parse(answer.body).newNonce, `${base}/new-nonce`)
    const [own] = served.authority.records.list().records
    assert.deepEqual([own?.names, own?.requester], [['localhost'], 'acme server'])
  })

  test('refuses a body that is announced or sent too long, without reading it', async () => {
    const head = 'POST /new-account HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jose+json\r\n'
    assert.match(await exchange(served, `${head}content-length: 10000000\r\n\r\n`), /^HTTP\/1\.1 413 /)
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    assert.match(
      await exchange(served, `${head}transfer-encoding: chunked\r\n\r\n${chunk}${chunk}`),
      /^HTTP\/1\.1 413 /,
    )
  })

  test('refuses a head that is too long', async () => {
    const long = `GET /directory HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`
    assert.match(await exchange(served, long), /^$|^HTTP\/1\.1 4(31|13|00) /)
  })
})

describe('http-01', () => {
  let answer: http.RequestListener = (_, response) => response.end()
  const server = http.createServer((request, response) => answer(request, response))
  let port = 0
  before(async () => {
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  const keyAuthorization = 'token.thumbprint'
  const asked = (name = 'a.internal') => ({
    kind: 'http-01' as const,
    name,
    token: 'token',
    keyAuthorization,
    digest: createHash('sha256').update(keyAuthorization).digest(),
  })
  const validate = (networks: string[] | null, name?: string) =>
    validator({
      http01Port: port,
      tlsAlpn01Port: 1,
      resolve: new Map([['a.internal', '127.0.0.1']]),
      networks,
      resolvers: [],
    })(asked(name), new AbortController().signal)
  const loopback = ['127.0.0.0/8']
  const fails = (why: RegExp) => (error: unknown) => error instanceof ChallengeFailure && why.test(error.message)

  test('is asked for at the one path, by name, and taken with whitespace behind it', async () => {
    let seen = ''
    answer = (request, response) => {
      seen = `${request.method} ${request.headers.host} ${request.url}`
      response.end(`${keyAuthorization}\r\n`)
    }
    await validate(loopback)
    assert.equal(seen, `GET a.internal:${port} /.well-known/acme-challenge/token`)
  })

  test('wrong, long and redirected answers are failures that tell nothing of what was read', async () => {
    answer = (_, response) => response.end('the secret of another server')
    await assert.rejects(
      validate(loopback),
      error => fails(/not with the key authorization/)(error) && !/secret/.test(String(error)),
    )
    answer = (_, response) => response.end('x'.repeat(100_000))
    await assert.rejects(validate(loopback), fails(/over 4096 bytes/))
    answer = (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end()
    await assert.rejects(validate(loopback), fails(/redirects are not followed/))
    answer = (_, response) => response.writeHead(404).end(keyAuthorization)
    await assert.rejects(validate(loopback), fails(/status 404/))
    answer = request => request.socket.destroy()
    await assert.rejects(validate(loopback), fails(/ECONNRESET|cannot be reached/))
  })

  test('is not asked of loopback, link-local and the like, nor outside of the networks', async () => {
    answer = (_, response) => response.end(keyAuthorization)
    for (const name of [
      'a.internal',
      '127.0.0.1',
      '169.254.169.254',
      '0.0.0.0',
      '::1',
      'fe80::1',
      '::ffff:127.0.0.1',
      'localhost',
    ])
      await assert.rejects(validate(null, name), fails(/outside of the networks/), name)
    await assert.rejects(validate(['10.0.0.0/8']), fails(/outside of the networks/))
    await assert.rejects(validate(['10.0.0.0/8'], '192.0.2.1'), fails(/outside of the networks/))
  })
})

describe('of several processes with one storage', () => {
  test('one serves, and the next takes over the port with accounts as they were', async () => {
    const first = await servedCa(
      { externalAccounts: { k: { key: Buffer.alloc(32, 7).toString('base64url'), allow: 'a.internal' } } },
      [],
    )
    const { port } = new URL(first.directory)
    const base = first.directory.replace('/directory', '')
    const config = {
      ...first.config,
      ca: {
        ...first.config.ca!,
        acme: { ...first.config.ca!.acme!, listen: { port: Number(port), address: '127.0.0.1' } },
      },
    }
    const waiting = await startInternalCa(config, first.storage, first.log)
    assert.equal(waiting.directory(), null)
    const client = new TestAcmeClient(base, askHttps(base, first.rootFile))
    await client.register({ externalAccountBinding: client.binding('k', Buffer.alloc(32, 7)) })
    await first.server.close()
    await waiting.close()
    const second = await startInternalCa(config, first.storage, first.log)
    assert.equal(second.directory(), first.directory)
    const refused = await client.order('a.internal')
    assert.match(refused.body.type, /badNonce/)
    assert.equal((await client.order('a.internal')).body.status, 'ready')
    await second.close()
  })

  test('a mistake stops the start: no CA, a name it may not give, a port that is taken', async () => {
    const one = await servedCa({}, [])
    const ca = one.config.ca!
    const at = (port: number, host = 'localhost') => ({
      ca: { ...ca, acme: { ...ca.acme!, host, listen: { port, address: '127.0.0.1' } } },
      state: one.state,
    })
    const { MemoryStorage } = await import('../harness/memory-storage.ts')
    const port = Number(new URL(one.directory).port)
    await assert.rejects(startInternalCa(at(port), new MemoryStorage(), one.log), /cannot listen on 127\.0\.0\.1:/)
    await assert.rejects(
      startInternalCa({ ...at(0), state: `${one.state}/none` }, new MemoryStorage(), one.log),
      /sallyport ca init/,
    )
    await one.server.close()
  })
})

describe('a client that is slow', () => {
  test('loses its connection: in the handshake, in the head, in the body', async () => {
    const { terms } = acmeServer()
    const served = await serveAcme({ ...terms, address: '127.0.0.1', port: 0, host: 'localhost', requestMs: 300 })
    const options = { port: served.port, host: '127.0.0.1', rejectUnauthorized: false }
    const texts = [
      '',
      'GET /directory HTTP/1.1\r\nhos',
      'POST /new-order HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nab',
    ]
    const answers = await Promise.all(
      texts.map(
        text =>
          new Promise<string>(resolve => {
            const socket = tls.connect(options, () => void (text === '' || socket.write(text)))
            let received = ''
            socket.on('data', chunk => void (received += chunk))
            socket.on('error', () => {})
            socket.on('close', () => resolve(received))
          }),
      ),
    )
    for (const answer of answers) assert.match(answer, /^$|^HTTP\/1\.1 408 /)
    await served.close()
  })
})

describe('the certificate of the server', () => {
  test('is replaced before it ends, on the same port', async () => {
    const { terms, authority } = acmeServer()
    let at = Date.now()
    const served = await serveAcme({
      ...terms,
      now: () => at,
      address: '127.0.0.1',
      port: 0,
      host: 'localhost',
      requestMs,
    })
    const serial = () =>
      new Promise<string>((resolve, reject) => {
        const socket = tls.connect(
          {
            port: served.port,
            host: '127.0.0.1',
            servername: 'localhost',
            ca: readFileSync(authority.ca.rootFile as string),
          },
          () => {
            resolve(socket.getPeerCertificate().serialNumber)
            socket.destroy()
          },
        )
        socket.on('error', reject)
      })
    const first = await serial()
    at += 6 * 24 * 3_600_000
    await served.renew()
    assert.notEqual(await serial(), first)
    await served.close()
    await assert.rejects(serial())
  })
})

describe('tls-alpn-01', () => {
  test('takes the certificate of RFC 8737 and no other', async () => {
    const digest = createHash('sha256').update('token.thumbprint').digest()
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const certificate = (name: string, value: Buffer, critical = true, more: Buffer[] = []) => {
      const now = Date.now()
      const body = der.sequence(
        der.explicit(0, der.integer(2)),
        der.integer(7),
        signatureAlgorithm(privateKey),
        encodeName({}),
        der.sequence(der.time(now - 1000), der.time(now + 86_400_000)),
        encodeName({}),
        publicKey.export({ type: 'spki', format: 'der' }),
        der.explicit(
          3,
          der.sequence(
            extension('2.5.29.17', true, der.sequence(...alternativeNames({ dnsNames: [name] }))),
            extension('1.3.6.1.5.5.7.1.31', critical, der.octetString(value)),
            ...more,
          ),
        ),
      )
      return toPem('CERTIFICATE', signSequence(body, privateKey))
    }
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const attempt = async (cert: string, protocols: string[], options: tls.TlsOptions = {}) => {
      const server = tls.createServer({ cert, key, ALPNProtocols: protocols, ...options }, socket =>
        socket.on('error', () => {}),
      )
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      const validate = validator({
        http01Port: 1,
        tlsAlpn01Port: port,
        resolve: new Map([['a.internal', '127.0.0.1']]),
        networks: ['127.0.0.1/32'],
        resolvers: [],
      })
      const asked = {
        kind: 'tls-alpn-01',
        name: 'a.internal',
        token: 'token',
        keyAuthorization: 'token.thumbprint',
        digest,
      } as const
      try {
        return await validate(asked, new AbortController().signal).then(
          () => 'valid',
          (error: ChallengeFailure) => error.type,
        )
      } finally {
        server.close()
      }
    }
    const acme = ['acme-tls/1']
    assert.equal(await attempt(certificate('a.internal', digest), acme), 'valid')
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      assert.equal(
        await attempt(certificate('a.internal', digest), acme, { minVersion: version, maxVersion: version }),
        'valid',
      )
    // As lego and acme.sh make them: a key usage that the handshake does not fit.
    const onlyEncipherment = extension('2.5.29.15', true, der.bitFlags([2]))
    // Bun serves none such itself: test/interop/internal-ca-clients.test.ts has lego.
    if (!('Bun' in globalThis))
      assert.equal(await attempt(certificate('a.internal', digest, true, [onlyEncipherment]), acme), 'valid')
    assert.equal(await attempt(certificate('b.internal', digest), acme), 'unauthorized')
    assert.equal(await attempt(certificate('a.internal', createHash('sha256').digest()), acme), 'unauthorized')
    assert.equal(await attempt(certificate('a.internal', digest, false), acme), 'unauthorized')
    assert.match(await attempt(certificate('a.internal', digest), ['http/1.1']), /tls|connection/)
  })
})

describe('dns-01', () => {
  test('takes the digest in any TXT record of the name, from the servers that are given', async () => {
    const digest = createHash('sha256').update('token.thumbprint').digest()
    let texts: string[] = []
    let wanted = ''
    const server = dgram.createSocket('udp4')
    server.on('message', (query, from) => {
      const end = query.indexOf(0, 12) + 5
      wanted = query
        .subarray(12, end - 4)
        .toString('latin1')
        .replace(/[\x00-\x1f]/g, '.')
        .slice(1, -1)
      const head = Buffer.concat([
        query.subarray(0, 2),
        Buffer.from([0x81, 0x80, 0, 1, 0, texts.length, 0, 0, 0, 0]),
      ])
      const answers = texts.map(text =>
        Buffer.concat([
          Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, text.length + 1, text.length]),
          Buffer.from(text),
        ]),
      )
      server.send(Buffer.concat([head, query.subarray(12, end), ...answers]), from.port, from.address)
    })
    await new Promise<void>(resolve => server.bind(0, '127.0.0.1', resolve))
    const resolvers = [`127.0.0.1:${server.address().port}`]
    const validate = validator({ http01Port: 1, tlsAlpn01Port: 1, resolve: new Map(), networks: [], resolvers })
    const asked = {
      kind: 'dns-01',
      name: 'a.internal',
      token: 'token',
      keyAuthorization: 'token.thumbprint',
      digest,
    } as const
    try {
      texts = ['something else', digest.toString('base64url')]
      await validate(asked, new AbortController().signal)
      assert.equal(wanted, '_acme-challenge.a.internal')
      texts = ['token.thumbprint', digest.toString('hex')]
      await assert.rejects(validate(asked, new AbortController().signal), /has no TXT record with the answer/)
    } finally {
      server.close()
    }
  })
})
