/** An endpoint that accepts connections and then fails, beside one that is well: it is ejected, and comes back. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { eventually } from '../harness/until.ts'

const servers: net.Server[] = []
const gateways: Started[] = []

after(async () => {
  for (const gateway of gateways) await gateway.stop()
  for (const server of servers) server.close()
})

async function listening(server: net.Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function started(site: object): Promise<Started> {
  const gateway = await startGateway({ sites: [{ host: 'a.test', certificate: 'local', ...site }] } as never)
  gateways.push(gateway)
  return gateway
}

const outlier = { consecutive: 3, ejection: '400ms' }

/** What the bad one does with a request, until it is well. */
const faults: Readonly<Record<string, (request: http.IncomingMessage, response: http.ServerResponse) => void>> = {
  'answers 503': (_request, response) => void response.writeHead(503).end('bad'),
  'resets before the head': ({ socket }) => void socket.resetAndDestroy(),
  'speaks no HTTP': ({ socket }) => void socket.end('?\r\n\r\n'),
}

describe('an endpoint that fails', () => {
  for (const version of versions)
    for (const [what, fault] of Object.entries(faults))
      it(`and ${what} is ejected, and asked again later, over ${version}`, async () => {
        const state = { asked: 0, isWell: false }
        const bad = http.createServer((request, response) => {
          state.asked++
          if (state.isWell) response.end('was bad')
          else fault(request, response)
        })
        const good = http.createServer((_request, response) => response.end('good'))
        const to = { endpoints: [`http://${await listening(bad)}`, `http://${await listening(good)}`], outlier }
        const { port } = await started({ to })
        // POST is not tried again: each failure is seen.
        const post = () => ask(version, port, { host: 'a.test', method: 'POST', body: 'x' })
        await eventually('it is ejected', async () => {
          const before = state.asked
          for (let count = 0; count < 4; count++) await post()
          return before >= 3 && state.asked === before
        })
        state.isWell = true
        assert.ok(state.asked >= 3, `${state.asked}`)
        await eventually('it is asked again', async () => (await post()).body === 'was bad')
      })
})
