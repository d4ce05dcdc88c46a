/** A backend that is known by its address: no server name goes to it, and its certificate has to name the address. */
import assert from 'node:assert/strict'
import https from 'node:https'
import type net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { HelloReader } from '../../src/wire/hello-reader.ts'
import { ask } from '../harness/ask.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const ca = testCa()
const stranger = testCa('Stranger')
const certificates = {
  'its address': [issueFiles(ca, ['127.0.0.1', 'backend.test']), 200],
  'another address': [issueFiles(ca, ['127.0.0.2']), 502],
  'a name alone': [issueFiles(ca, ['backend.test']), 502],
  'its address, by a CA that nobody knows': [issueFiles(stranger, ['127.0.0.1']), 502],
} as const
const names = Object.keys(certificates) as (keyof typeof certificates)[]
const hostOf = (at: number) => `b${at}.test`

let gateway: Started
let recording: RecordingBackend
const servers: https.Server[] = []

before(async () => {
  for (const name of names) {
    const [files] = certificates[name]
    const server = https.createServer({ cert: files.chainPem, key: files.keyPem }, (_request, response) =>
      response.end('fine'),
    )
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    servers.push(server)
  }
  recording = await recordingBackend(client => client.destroy())
  const to = (port: number) => ({ endpoints: [`https://127.0.0.1:${port}`], tls: { ca: ca.file } })
  gateway = await startGateway({
    sites: [
      ...servers.map((server, at) => ({
        host: hostOf(at),
        certificate: 'local' as const,
        to: to((server.address() as net.AddressInfo).port),
      })),
      { host: 'recording.test', certificate: 'local', to: to(recording.port) },
    ],
  })
})

after(async () => {
  await gateway.stop()
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
  await recording.close()
})

describe('a backend by its address', () => {
  it('is sent no server name', async () => {
    assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'recording.test' })).status, 502)
    const peeked = new HelloReader(null, 16_384).push(Buffer.from(recording.received(), 'latin1'))
    assert.equal(peeked.kind, 'hello')
    if (peeked.kind === 'hello') assert.equal(peeked.hello.serverName, null)
  })

  names.forEach((name, at) => {
    const status = certificates[name][1]
    it(`whose certificate names ${name} is ${status === 200 ? 'served' : 'refused'}, again and again`, async () => {
      // The second connection would resume the session of the first.
      for (let round = 0; round < 2; round++) {
        const fields = [['connection', 'close']] as const
        assert.equal((await ask('HTTP/1.1', gateway.port, { host: hostOf(at), fields })).status, status)
      }
    })
  })
})
