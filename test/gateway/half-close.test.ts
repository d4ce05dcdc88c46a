/**
 * Whoever has ended its direction still gets the whole of the other's: in passthrough, tcp and upgraded connections, both
 * ways, with readers that keep up and readers that do not. The log counts what was delivered.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { linesOf, nodeProcess } from '../harness/node-process.ts'

const ca = testCa()
const own = issueFiles(ca, ['passthrough.test', 'internal.test'])
const bytes = 3_000_000

type Result = { client: number; backend: number; errors: string[] }

let gateway: Started
let peers: ChildProcess
let lines: AsyncIterator<string>

async function next<T>(): Promise<T> {
  const { value } = await lines.next()
  return JSON.parse(String(value)) as T
}

before(async () => {
  peers = nodeProcess('half-close-peers.mjs', [own.chainFile, own.keyFile])
  lines = linesOf(peers)
  const ports = await next<Record<'tcp' | 'tls' | 'upgrade' | 'upgradeTls', number>>()
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', cleartext: 'serve' },
    ],
    sites: [
      { host: 'passthrough.test', passthrough: { to: [`127.0.0.1:${ports.tls}`] } },
      { host: 'tcp.test', certificate: 'local', tcp: { to: [`127.0.0.1:${ports.tcp}`] } },
      { host: 'upgrade.test', certificate: 'local', to: [`http://127.0.0.1:${ports.upgrade}`] },
      {
        host: 'bridge.test',
        certificate: 'local',
        to: {
          endpoints: [`https://127.0.0.1:${ports.upgradeTls}`],
          tls: { ca: ca.file, serverName: 'internal.test' },
        },
      },
    ],
  })
})

after(async () => {
  peers.kill()
  await gateway.stop()
})

const paths = [
  { name: 'passthrough', host: 'passthrough.test', secure: true, upgrade: false },
  { name: 'tcp', host: 'tcp.test', secure: true, upgrade: false },
  { name: 'an upgraded connection', host: 'upgrade.test', secure: true, upgrade: true },
  { name: 'an upgraded connection in cleartext', host: 'upgrade.test', secure: false, upgrade: true },
  { name: 'an upgraded connection to a TLS backend', host: 'bridge.test', secure: true, upgrade: true },
]

/** Records of connections that have ended */
const records = () => gateway.logs().filter(({ message }) => kinds.includes(String(message)))
const kinds = ['passthrough', 'tcp', 'request']
let told = 0

/** Has the peers talk once. @returns what they have seen, and what the log says of it */
async function talk(job: object): Promise<{ result: Result; record: Record<string, unknown> }> {
  peers.stdin?.write(`${JSON.stringify(job)}\n`)
  const result = await next<Result>()
  await gateway.logged(() => records().length > told)
  return { result, record: records()[told++] as Record<string, unknown> }
}

for (const { name, ...peer } of paths)
  describe(`over ${name}`, () => {
    const portOf = () => gateway.ports[peer.secure ? 0 : 1]
    for (const slow of [false, true])
      for (const direction of ['down', 'up'] as const) {
        const [first, last] = direction === 'down' ? ['client', 'backend'] : ['backend', 'client']
        it(`the ${first} ends first, and reads${slow ? ' slowly' : ''} all that the ${last} sends`, async () => {
          const { result, record } = await talk({ ...peer, port: portOf(), slow, direction, bytes })
          const [client, backend] = direction === 'down' ? [bytes, 2] : [2, bytes]
          assert.deepEqual(result, { client, backend, errors: [] })
          assert.equal(record['error'], null, String(record['why']))
          const counted = [Number(record['bytesIn']), Number(record['bytesOut'])] as const
          if (peer.host === 'passthrough.test') assert.ok(counted[0] >= backend && counted[1] >= client)
          else assert.deepEqual(counted, [backend, client])
        })
      }

    it("a backend that resets behind the client's end is no end: the client is reset too, and the log says so", async () => {
      const job = { ...peer, port: portOf(), direction: 'down', bytes: 200_000, cut: 'resetAndDestroy' }
      const { result, record } = await talk(job)
      assert.ok(result.errors.includes('client: ECONNRESET'), JSON.stringify(result))
      assert.equal(record['error'], 'UPSTREAM_TRUNCATED')
    })
  })
