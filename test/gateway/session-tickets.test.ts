/**
 * Sessions are taken up again under rotated keys: within the windows that are kept, in another worker, after a reload and
 * a restart, and never under other terms. Where the TLS library takes no ticket keys, only that nothing is promised.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { abilities } from '../../src/base/runtime.ts'
import type { ConfigInput } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createGateway, type Gateway } from '../../src/index.ts'
import { issueClientFiles, issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { freePort } from '../harness/ports.ts'
import { main, readyOf } from '../harness/sallyport.ts'

const ca = testCa('Servers')
const partners = testCa('Partners')
const others = testCa('Others')
const alice = issueClientFiles(partners, 'alice')
const files = issueFiles(ca, ['a.test', 'b.test', 'c.test', 'plain.test'])
const certificate = { chain: files.chainFile, key: files.keyFile }
const routes = [{ respond: { body: 'ok' } }]
const versions = ['TLSv1.2', 'TLSv1.3'] as const
type Version = (typeof versions)[number]

type Visit = { readonly resumed: boolean; readonly session: Buffer | null; readonly status: number }

async function visit(
  port: number,
  host: string,
  maxVersion: Version,
  session: Buffer | null = null,
): Promise<Visit> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    servername: host,
    rejectUnauthorized: false,
    maxVersion,
    ALPNProtocols: ['http/1.1'],
    cert: alice.chainPem,
    key: alice.keyPem,
    ...(session === null ? {} : { session }),
  })
  const tickets: Buffer[] = []
  let text = ''
  let resumed = false
  socket.on('session', (ticket: Buffer) => void tickets.push(ticket))
  socket.on('data', chunk => void (text += chunk))
  socket.on('error', () => {})
  socket.on('secureConnect', () => {
    resumed = socket.isSessionReused()
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  })
  await once(socket, 'close')
  return { resumed, session: tickets.at(-1) ?? null, status: Number(text.slice(9, 12)) }
}

const hour = 3_600_000

describe('on a runtime that takes ticket keys', { skip: !abilities.ticketKeys }, () => {
  const clock = { ms: Date.now() }
  const state = temporaryFolder('sallyport-state-')
  let gateway: Gateway
  const config = (more: object = {}): ConfigInput =>
    ({
      listen: [{ port: 0, address: '127.0.0.1' }],
      log: { access: false },
      state,
      sites: [
        { host: 'plain.test', certificate, routes },
        { host: 'a.test', certificate, routes, clients: { ca: partners.file, verify: 'optional' } },
        { host: 'b.test', certificate, routes, clients: { ca: [partners.file, others.file], verify: 'optional' } },
        { host: 'c.test', certificate, routes, clients: { ca: partners.file, verify: 'require' } },
        { host: 'local.test', certificate: 'local', routes },
      ],
      ...more,
    }) as ConfigInput
  const start = (more: object = {}) =>
    createGateway(config(more), { selfTested: true, out() {}, now: () => clock.ms })
  const port = () => gateway.ports[0] as number

  before(async () => {
    gateway = await start()
  })
  after(async () => void (await gateway.drain(0)))

  for (const version of versions) {
    it(`as long as their key is kept, and not after (${version})`, async () => {
      const made = await visit(port(), 'plain.test', version)
      assert.deepEqual([made.status, made.resumed], [200, false])
      for (let rotations = 0; rotations < 3; rotations++, clock.ms += 12 * hour) {
        const again = await visit(port(), 'plain.test', version, made.session)
        assert.deepEqual([again.status, again.resumed], [200, true], `after ${rotations} rotations`)
        // No ticket is made under a key that has been rotated away.
        assert.equal(again.session, null)
        const fresh = await visit(port(), 'plain.test', version)
        assert.ok((await visit(port(), 'plain.test', version, fresh.session)).resumed)
      }
      const late = await visit(port(), 'plain.test', version, made.session)
      assert.deepEqual([late.status, late.resumed], [200, false])
      assert.ok((await visit(port(), 'plain.test', version, late.session)).resumed)
    })

    it(`never under other terms, in any window (${version})`, async () => {
      for (const made of ['a.test', 'b.test', 'plain.test', 'c.test']) {
        const { session } = await visit(port(), made, version)
        assert.ok(session)
        for (const rotated of [0, 12 * hour]) {
          clock.ms += rotated
          for (const host of ['a.test', 'b.test', 'plain.test', 'c.test']) {
            const { resumed, status } = await visit(port(), host, version, session)
            assert.deepEqual([host, status, resumed], [host, 200, host === made])
          }
        }
      }
    })

    it(`after a reload and a restart, from files and from the local CA alike (${version})`, async () => {
      const own = await visit(port(), 'plain.test', version)
      const local = await visit(port(), 'local.test', version)
      clock.ms += 12 * hour
      await gateway.drain(0)
      gateway = await start()
      assert.ok((await visit(port(), 'plain.test', version, own.session)).resumed)
      assert.ok((await visit(port(), 'local.test', version, local.session)).resumed)
      assert.ok(!(await visit(port(), 'plain.test', version, local.session)).resumed)
    })

    it(`a ticket with the name of a key and nothing else opens nothing (${version})`, async () => {
      const { session } = await visit(port(), 'c.test', version)
      const broken = Buffer.from(session as Buffer)
      // Far behind the name: in what is sealed.
      const at = broken.length - 60
      for (let i = at; i < at + 40; i++) broken[i] = (broken[i] as number) ^ 0x55
      const answer = await visit(port(), 'c.test', version, broken).catch(() => null)
      assert.ok(answer === null || !answer.resumed)
    })
  }

  it('a change of `rotate` or `keep` counts with the reload', async () => {
    const { session } = await visit(port(), 'plain.test', 'TLSv1.3')
    const again = async (tickets: object) => {
      const value = config({ tickets, listen: [{ port: port(), address: '127.0.0.1' }] })
      await gateway.apply((await loadConfig({ value })).config)
    }
    await again({ keep: 1 })
    assert.ok((await visit(port(), 'plain.test', 'TLSv1.3', session)).resumed)
    clock.ms += 12 * hour
    assert.ok(!(await visit(port(), 'plain.test', 'TLSv1.3', session)).resumed)
  })
})

describe('two workers', { skip: !abilities.ticketKeys }, () => {
  it('take up the sessions of each other', async () => {
    const folder = temporaryFolder('sallyport-state-')
    const port = await freePort()
    const file = path.join(folder, 'sallyport.json')
    const sites = [{ host: 'a.test', certificate: 'local', routes: [{ respond: { body: 'ok' } }] }]
    writeFileSync(file, JSON.stringify({ listen: [{ port, address: '127.0.0.1' }], state: folder, sites }))
    const child: ChildProcess = spawn(process.execPath, [main, 'run', '-c', file, '--workers', '2'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr?.on('data', chunk => void (said += chunk))
    await readyOf(child)
    try {
      for (const version of versions) {
        const { session } = await visit(port, 'a.test', version)
        const visits = await Promise.all(Array.from({ length: 24 }, () => visit(port, 'a.test', version, session)))
        // The kernel spreads connections by their ports: that all 24 come to one of two workers is one in eight million.
        assert.deepEqual(new Set(visits.map(each => each.resumed)), new Set([true]))
      }
    } finally {
      const ended = once(child, 'close')
      child.kill('SIGTERM')
      await ended
    }
    assert.ok(!said.includes('resume'), said)
  })
})
