/**
 * gRPC with its own library on both sides: the four kinds of call through edge and bridge, trailers, deadlines,
 * cancellation both ways, routes by service and method, and what the gateway itself has to say as a status.
 */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type H2Backend, h2Backend, h2Client, post } from '../harness/h2.ts'

const ca = testCa()
const own = issueFiles(ca, ['internal.test'])
const text = {
  requestSerialize: (value: string) => Buffer.from(value),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (value: string) => Buffer.from(value),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
}
const method = (service: string, name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/${service}/${name}`,
  requestStream,
  responseStream,
  ...text,
})
const echo = {
  unary: method('test.Echo', 'Unary', false, false),
  upload: method('test.Echo', 'Upload', true, false),
  download: method('test.Echo', 'Download', false, true),
  both: method('test.Echo', 'Both', true, true),
  fails: method('test.Echo', 'Fails', false, false),
  never: method('test.Echo', 'Never', false, false),
}

const servers: grpc.Server[] = []
const cancelled = new EventEmitter()
let gateway: Started
let silent: H2Backend
let cutting: H2Backend

async function serve(credentials: grpc.ServerCredentials, name: string): Promise<number> {
  const server = new grpc.Server()
  server.addService(echo, {
    unary(call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) {
      const trailers = new grpc.Metadata()
      trailers.set('x-checksum', `${call.request.length}`)
      const head = new grpc.Metadata()
      head.set('x-seen', `${call.metadata.get('x-forwarded-for')} ${call.metadata.get('x-token')}`)
      call.sendMetadata(head)
      done(null, `${name}: ${call.request}`, trailers)
    },
    upload(call: grpc.ServerReadableStream<string, string>, done: grpc.sendUnaryData<string>) {
      let sum = 0
      call.on('data', (value: string) => {
        sum += value.length
      })
      call.on('end', () => done(null, `${sum}`))
    },
    download(call: grpc.ServerWritableStream<string, string>) {
      for (let count = 0; count < Number(call.request); count++) call.write(`${count} ${'x'.repeat(1000)}`)
      call.end()
    },
    both(call: grpc.ServerDuplexStream<string, string>) {
      call.on('data', (value: string) => call.write(`<${value}>`))
      call.on('end', () => call.end())
      call.on('cancelled', () => cancelled.emit('both'))
    },
    fails(_call: unknown, done: grpc.sendUnaryData<string>) {
      done({ code: grpc.status.FAILED_PRECONDITION, details: 'not today' })
    },
    never(call: grpc.ServerUnaryCall<string, string>) {
      call.on('cancelled', () => cancelled.emit('never'))
    },
  })
  servers.push(server)
  return new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port))),
  )
}

before(async () => {
  const plain = await serve(grpc.ServerCredentials.createInsecure(), 'edge')
  const key = { private_key: Buffer.from(own.keyPem), cert_chain: Buffer.from(own.chainPem) }
  const secure = await serve(grpc.ServerCredentials.createSsl(null, [key]), 'bridge')
  cutting = await h2Backend({
    onRequest({ connection, stream }) {
      connection.headers(
        stream,
        [
          [':status', '200'],
          ['content-type', 'application/grpc'],
        ],
        4,
      )
      connection.data(stream, '\0\0\0\0\x05he')
      connection.socket.end()
    },
  })
  silent = await h2Backend()
  gateway = await startGateway({
    sites: [
      {
        host: 'edge.test',
        certificate: 'local',
        routes: [
          { match: { path: '/test.Echo/*' }, to: [`h2c://127.0.0.1:${plain}`] },
          { match: { path: '/test.Dead/*' }, to: ['h2c://127.0.0.1:1'] },
          { match: { path: '/test.Slow/*' }, to: [`h2c://127.0.0.1:${silent.port}`], timeouts: { total: '200ms' } },
          { match: { path: '/test.Silent/*' }, to: [`h2c://127.0.0.1:${silent.port}`] },
          { match: { path: '/test.Cut/*' }, to: [`h2c://127.0.0.1:${cutting.port}`] },
          { match: { path: '/test.Small/*' }, to: [`h2c://127.0.0.1:${plain}`], limits: { body: 100 } },
        ],
      },
      {
        host: 'bridge.test',
        certificate: 'local',
        to: { endpoints: [`https://127.0.0.1:${secure}`], tls: { ca: ca.file, serverName: 'internal.test' } },
      },
    ],
  })
})

after(async () => {
  for (const server of servers) server.forceShutdown()
  await gateway.stop()
  await silent.close()
  await cutting.close()
})

function client(host: string): grpc.Client {
  return new grpc.Client(`127.0.0.1:${gateway.port}`, grpc.credentials.createSsl(Buffer.from(gateway.caPem)), {
    'grpc.ssl_target_name_override': host,
    'grpc.default_authority': host,
  })
}

type Outcome = {
  value: string | undefined
  error: grpc.ServiceError | null
  head: grpc.Metadata
  status: grpc.StatusObject
}

async function unary(
  made: grpc.Client,
  path: string,
  message: string,
  options: grpc.CallOptions = {},
  metadata = new grpc.Metadata(),
): Promise<Outcome> {
  const head = new grpc.Metadata()
  return new Promise(resolve => {
    let value: string | undefined
    let failure: grpc.ServiceError | null = null
    const { requestSerialize: write, responseDeserialize: read } = text
    const call = made.makeUnaryRequest(path, write, read, message, metadata, options, (error, answer) => {
      failure = error
      value = answer
    })
    call.on('metadata', got => head.merge(got))
    call.on('status', status => setImmediate(() => resolve({ value, error: failure, head, status })))
  })
}

for (const host of ['edge.test', 'bridge.test']) {
  describe(`calls through ${host}`, () => {
    let made: grpc.Client
    before(() => {
      made = client(host)
    })
    after(() => made.close())

    it('unary, with metadata and trailers', async () => {
      const metadata = new grpc.Metadata()
      metadata.set('x-token', 'secret')
      const { value, head, status } = await unary(made, '/test.Echo/Unary', 'hello', {}, metadata)
      assert.equal(value, `${host.split('.')[0]}: hello`)
      assert.deepEqual(head.get('x-seen'), ['127.0.0.1 secret'])
      assert.equal(status.code, grpc.status.OK)
      assert.deepEqual(status.metadata.get('x-checksum'), ['5'])
    })

    it('a status that the backend gives', async () => {
      const { error } = await unary(made, '/test.Echo/Fails', 'x')
      assert.equal(error?.code, grpc.status.FAILED_PRECONDITION, error?.details ?? '')
      assert.equal(error?.details, 'not today')
    })

    it('client streaming', async () => {
      const { requestSerialize: write, responseDeserialize: read } = text
      const answer = await new Promise((resolve, reject) => {
        const call = made.makeClientStreamRequest('/test.Echo/Upload', write, read, (error, value) =>
          error ? reject(error) : resolve(value),
        )
        for (let count = 0; count < 300; count++) call.write('x'.repeat(5000))
        call.end()
      })
      assert.equal(answer, '1500000')
    })

    it('server streaming', async () => {
      const { requestSerialize: write, responseDeserialize: read } = text
      const call = made.makeServerStreamRequest('/test.Echo/Download', write, read, '1500')
      let count = 0
      for await (const value of call) assert.ok(String(value).startsWith(`${count++} `))
      assert.equal(count, 1500)
    })

    it('both ways at once, message by message', async () => {
      const { requestSerialize: write, responseDeserialize: read } = text
      const call = made.makeBidiStreamRequest('/test.Echo/Both', write, read)
      for (let count = 0; count < 20; count++) {
        call.write(`${count}`)
        assert.deepEqual(await once(call, 'data'), [`<${count}>`])
      }
      call.end()
      const [status] = (await once(call, 'status')) as [grpc.StatusObject]
      assert.equal(status.code, grpc.status.OK)
    })

    it('a call that the client cancels is cancelled at the backend', async () => {
      const { requestSerialize: write, responseDeserialize: read } = text
      const call = made.makeBidiStreamRequest('/test.Echo/Both', write, read)
      call.on('error', () => {})
      call.write('a')
      await once(call, 'data')
      const gone = once(cancelled, 'both')
      call.cancel()
      await gone
    })

    it('a deadline ends the call on both sides', async () => {
      const gone = once(cancelled, 'never')
      const { error } = await unary(made, '/test.Echo/Never', 'x', { deadline: Date.now() + 200 })
      assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED)
      await gone
    })
  })
}

describe('what the gateway itself has to say', () => {
  let made: grpc.Client
  before(() => {
    made = client('edge.test')
  })
  after(() => made.close())

  const expected: Record<string, [string, number]> = {
    'no route': ['/test.Nobody/Call', grpc.status.UNIMPLEMENTED],
    'a backend that cannot be reached': ['/test.Dead/Call', grpc.status.UNAVAILABLE],
    'a call over timeouts.total': ['/test.Slow/Call', grpc.status.DEADLINE_EXCEEDED],
    'a message over limits.body': ['/test.Small/Call', grpc.status.RESOURCE_EXHAUSTED],
  }
  for (const [name, [path, code]] of Object.entries(expected)) {
    it(name, async () => {
      const { error } = await unary(made, path, 'x'.repeat(1000))
      assert.equal(error?.code, code, error?.details ?? '')
      assert.match(error?.details ?? '', /^[A-Z_]+ \(request [0-9a-f]+-\w+\)$/)
    })
  }

  it('a backend that is cut off in the middle of a message', async () => {
    const { error } = await unary(made, '/test.Cut/Call', 'x')
    assert.equal(error?.code, grpc.status.UNAVAILABLE)
    assert.match(error?.details ?? '', /^UPSTREAM_TRUNCATED \(request /)
  })

  it("a call's own deadline, to a client that would wait", async () => {
    const http2 = await h2Client(gateway.port, { servername: 'edge.test' })
    const head = post('/test.Silent/Call', [
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['grpc-timeout', '100m'],
    ]).map(([name, value]): [string, string] => [name, name === ':authority' ? 'edge.test' : value])
    const stream = http2.request(head, 4)
    http2.data(stream, '\0\0\0\0\0', 1)
    const { status, headers } = await http2.answer(stream)
    assert.equal(status, 200)
    assert.equal(headers.find(([name]) => name === 'grpc-status')?.[1], '4')
    const { connection, stream: at, fields } = await silent.request(silent.requests.length - 1)
    await connection.until(() => connection.message(at).reset === 8, 'RST_STREAM with CANCEL')
    assert.ok(fields.some(([name, value]) => name === 'te' && value === 'trailers'))
    http2.destroy()
  })
})
