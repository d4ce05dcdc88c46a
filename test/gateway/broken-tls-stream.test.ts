/** A client that breaks TLS behind its handshake is told at once, and the log says what it did. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { firstLine, nodeProcess } from '../harness/node-process.ts'
import { until } from '../harness/until.ts'

type Heard = { error: string; renegotiated: boolean }
let gateway: Started

before(async () => {
  gateway = await startGateway({
    sites: [{ host: 'localhost', certificate: 'local', to: ['http://127.0.0.1:1'] }],
    // Far longer than the test may take: none of them ends a connection here.
    timeouts: { head: '5m', keepAlive: '5m', bodyIdle: '5m' },
  })
})

after(async () => {
  await until(() => gateway.gateway.descriptors.open === 0)
  await gateway.stop()
})

async function client(alpn: string, what: string): Promise<Heard> {
  const child = nodeProcess('tls-client.mjs', [String(gateway.port), alpn, what])
  return JSON.parse(await firstLine(child)) as Heard
}

const ended = () => gateway.logs().filter(each => each['error'] === 'TLS_BROKEN')

for (const alpn of ['http/1.1', 'h2'])
  describe(`over ${alpn}`, () => {
    for (const [what, alert] of [
      ['bad record', /bad record mac|decrypt/i],
      ['bad record of TLS 1.2', /bad record mac|decrypt/i],
      ['plaintext', /./],
    ] as const)
      it(`a client that sends a ${what} gets an alert, and is logged`, async () => {
        const before = ended().length
        const { error } = await client(alpn, what)
        assert.match(error, alert)
        await gateway.logged(() => ended().length > before)
        assert.match(String(ended()[before]?.['why']), /^the peer broke the TLS stream: /)
      })

    it('a client of TLS 1.2 that wants to renegotiate is refused', async () => {
      const { renegotiated, error } = await client(alpn, 'renegotiate')
      assert.equal(renegotiated, false)
      assert.match(error, /renegotiation/i)
    })
  })
