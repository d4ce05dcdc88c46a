/**
 * Whatever a peer sends in pieces (heads, trailers, hellos, PROXY headers, frames, header blocks) counts against the
 * memory budget from the first piece to the last, and no longer: each connection here stays open behind it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { block, END_STREAM, frameBytes, get, h2Client, type } from '../harness/h2.ts'
import { ok, type RawClient, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'
import { until } from '../harness/until.ts'

const fields = `x: ${'y'.repeat(1_000)}\r\n`.repeat(3)
const least = 3_000

let backend: RecordingBackend
let gateway: Started
/** What the backend sends first, and what once it is told to */
let pieces: readonly [string, string] = ['', ok('fine')]
let answering: RawClient | null = null

before(async () => {
  const begun = new WeakMap<object, number>()
  backend = await recordingBackend((client, received) => {
    const request = received.slice(begun.get(client) ?? 0)
    const end = request.startsWith('POST') ? /\r\n0\r\n(?:.+\r\n)*\r\n$/ : /\r\n\r\n$/
    if (!end.test(request)) return
    begun.set(client, received.length)
    answering = client
    client.send(pieces[0] === '' ? pieces[1] : pieces[0])
  })
  const address = '127.0.0.1'
  gateway = await startGateway({
    listen: [
      { port: 0, address, cleartext: 'serve' },
      { port: 0, address },
      { port: 0, address, cleartext: 'serve', proxyProtocol: { from: ['127.0.0.0/8'] } },
      { port: 0, address, cleartext: 'redirect' },
    ],
    sites: [{ host: 'localhost', certificate: 'local', routes: [{ to: [backend.url] }] }],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

const held = () => gateway.gateway.budget.total

/** Both pieces of one message over HTTP/1.1, and what has come of it */
async function inTwo(listener: number, first: string, rest: string, wanted: RegExp): Promise<void> {
  const client = await rawTcp(gateway.ports[listener] as number)
  client.send(first)
  await until(() => held() >= least)
  client.send(rest)
  await client.until(received => wanted.test(received))
  await until(() => held() === 0)
  client.destroy()
}

async function answeredInTwo(first: string, rest: string): Promise<void> {
  pieces = [first, rest]
  const client = await rawTcp(gateway.port)
  client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => held() >= least)
  answering?.send(rest)
  await client.until(received => received.includes('fine'))
  await until(() => held() === 0)
  pieces = ['', ok('fine')]
  client.destroy()
}

const proxyHeader = () => {
  const head = Buffer.from('0d0a0d0a000d0a515549540a21110dac', 'hex')
  const addresses = Buffer.from('7f0000017f00000100500050', 'hex')
  const padding = Buffer.alloc(0xdac - addresses.length)
  padding[0] = 4
  padding.writeUInt16BE(padding.length - 3, 1)
  return Buffer.concat([head, addresses, padding]).toString('latin1')
}

const cases: Readonly<Record<string, () => Promise<void>>> = {
  'a request head': () => inTwo(0, `GET / HTTP/1.1\r\nHost: localhost\r\n${fields}`, '\r\n', /fine/),
  'a request head on a redirect listener': () =>
    inTwo(3, `GET / HTTP/1.1\r\nHost: localhost\r\n${fields}`, '\r\n', / 308 /),
  'the trailers of a request': () =>
    inTwo(
      0,
      `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${fields}`,
      '\r\n',
      /fine/,
    ),
  'a PROXY header': () => {
    const header = proxyHeader()
    const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
    return inTwo(2, header.slice(0, 3_400), header.slice(3_400) + request, /fine/)
  },
  'an answer head': () => answeredInTwo(`HTTP/1.1 200 OK\r\n${fields}`, 'Content-Length: 4\r\n\r\nfine'),
  'the trailers of an answer': () =>
    answeredInTwo(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n${fields}`, '\r\n'),
  async 'a ClientHello'() {
    // Between the client and the gateway: it lets the hello through in two pieces.
    const between = net.createServer(client => {
      const onward = net.connect({ port: gateway.ports[1] as number, host: '127.0.0.1', noDelay: true })
      client.on('error', () => {})
      onward.on('error', () => {})
      client.once('data', (chunk: Buffer) => {
        onward.write(chunk.subarray(0, 100))
        until(() => held() >= 100).then(() => {
          onward.write(chunk.subarray(100))
          client.pipe(onward)
        })
      })
      onward.pipe(client)
    })
    between.listen(0, '127.0.0.1')
    await once(between, 'listening')
    const client = await rawTls((between.address() as net.AddressInfo).port)
    await until(() => held() === 0)
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(received => received.includes('fine'))
    client.destroy()
    between.close()
  },
  async 'an HTTP/2 frame'() {
    const client = await h2Client(gateway.port, { plain: true })
    const unknown = frameBytes(0xee, 0, 0, Buffer.alloc(10_000))
    client.send(unknown.subarray(0, 5))
    client.send(unknown.subarray(5, 100))
    await until(() => held() >= unknown.length)
    client.send(unknown.subarray(100))
    await client.ping()
    await until(() => held() === 0)
    client.destroy()
  },
  async 'an HTTP/2 header block'() {
    const client = await h2Client(gateway.port, { plain: true })
    const whole = block(get('/', [['x', 'y'.repeat(4_000)]]))
    const cut = whole.length - 10
    client.send(frameBytes(type.headers, END_STREAM, 1, whole.subarray(0, cut)))
    await until(() => held() >= cut)
    client.send(frameBytes(type.continuation, 4, 1, whole.subarray(cut)))
    const answer = await client.answer(1)
    assert.equal(answer.body, 'fine')
    await until(() => held() === 0)
    client.destroy()
  },
}

describe('counted as held until it is whole:', () => {
  for (const [name, run] of Object.entries(cases)) it(name, run)
})
