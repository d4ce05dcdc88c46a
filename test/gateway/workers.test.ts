/**
 * A gateway of several processes when something happens to one of them: signals while it starts, kills, broken files, a
 * second gateway on the same ports.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { isDead, thisProcess } from '../../src/storage/process-identity.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type GatewayProcess, spawnGateway } from '../harness/gateway-process.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp as raw } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

type Place = { readonly port: number; readonly state: string }

const started: GatewayProcess[] = []

async function place(): Promise<Place> {
  return { port: await freePort(), state: temporaryFolder('sallyport-workers-') }
}

const configuration = ({ port, state }: Place, body: string) => ({
  listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
  state,
  timeouts: { drain: '1s' },
  sites: [{ host: 'localhost', routes: [{ respond: { body } }] }],
})

function start(config: object, workers = 2, code = false): GatewayProcess {
  const gateway = spawnGateway(config, { workers, code })
  started.push(gateway)
  return gateway
}

/** The processes that listen on a control socket, workers or a single one */
const processesOf = (state: string): number[] =>
  readdirSync(path.join(state, 'control'))
    .map(name => Number.parseInt(name, 10))
    .filter(isAlive)

/** Kills one of two workers, and waits for the one in its place. */
async function replaceOne(state: string): Promise<void> {
  const before = processesOf(state)
  process.kill(before[0] as number, 'SIGKILL')
  await eventually('another one', () => {
    const now = processesOf(state)
    return now.length === 2 && now.some(pid => !before.includes(pid))
  })
}

function isAlive(pid: number): boolean {
  return isDead({ ...thisProcess(), pid, start: '0' }, thisProcess()) === false
}

const childrenOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)

/** By SigCgt of proc(5): until then SIGHUP ends any process, and the launcher holds it back. */
const catchesHangup = (pid: number): boolean =>
  (Number.parseInt(/^SigCgt:\s*\w*(\w)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0', 16) &
    1) ===
  1

const allGone = (pids: readonly number[]) =>
  eventually(`the processes ${pids} have ended`, () => !pids.some(isAlive))

async function bodyAt(port: number): Promise<string> {
  const client = await raw(port)
  client.send('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  const { received } = await client.closed()
  return received.slice(received.indexOf('\r\n\r\n') + 4)
}

/** Of many connections, which the kernel spreads over the workers */
async function bodiesAt(port: number): Promise<string[]> {
  const found = new Set<string>()
  for (let count = 0; count < 24; count++) found.add(await bodyAt(port))
  return [...found]
}

afterEach(async () => {
  for (const gateway of started.splice(0)) await gateway.kill()
})

describe('workers', () => {
  it('live through SIGHUPs that come while they start, and serve what was read last', async () => {
    const at = await place()
    const gateway = start(configuration(at, 'one'))
    await eventually('signals are caught', () => catchesHangup(gateway.child.pid as number))
    // Long before the workers are ready.
    await eventually(
      'many signals while it starts',
      () => {
        gateway.child.kill('SIGHUP')
        return gateway.said().includes('sallyport ready')
      },
      30_000,
    )
    await gateway.ready
    assert.ok(!gateway.said().includes('a worker ended'), gateway.said())
    const [victim] = processesOf(at.state)
    process.kill(victim as number, 'SIGKILL')
    await eventually('its end is seen', () => gateway.said().includes('a worker ended'))
    writeFileSync(gateway.file, JSON.stringify({ ...configuration(at, 'two'), workers: 2 }))
    for (let count = 0; count < 20; count++) {
      gateway.child.kill('SIGHUP')
      await new Promise(resolve => setImmediate(resolve))
    }
    await eventually('another one serves', () => processesOf(at.state).length === 2)
    await eventually('only the new configuration', async () => (await bodiesAt(at.port)).join() === 'two')
    assert.equal(gateway.said().match(/a worker ended/g)?.length, 1, gateway.said())
  })

  it('that are started in place of others serve the configuration in force, not the file', async () => {
    const at = await place()
    const gateway = start(configuration(at, 'in force'))
    await gateway.ready
    for (const text of [JSON.stringify(configuration(at, 'only on disk')), 'listen: [nonsense']) {
      writeFileSync(gateway.file, text)
      await replaceOne(at.state)
      assert.deepEqual(await bodiesAt(at.port), ['in force'])
    }
    assert.equal(gateway.said().match(/a worker ended/g)?.length, 2, gateway.said())
  })

  it('have Unix sockets in the first of them, and in the one in its place', async () => {
    const at = await place()
    const unix = path.join(at.state, 'http.sock')
    const config = configuration(at, 'one')
    const gateway = start({ ...config, listen: [...config.listen, { unix, cleartext: 'serve' }] })
    await gateway.ready
    const bodyAtSocket = () =>
      new Promise<string>(resolve => {
        const asked = http.get({ socketPath: unix, agent: false }, answer => {
          let body = ''
          answer.on('data', chunk => (body += chunk)).on('end', () => resolve(body))
        })
        asked.on('error', error => resolve(String(error)))
      })
    assert.equal(await bodyAtSocket(), 'one')
    // One of these is the first.
    for (let count = 0; count < 2; count++) {
      await replaceOne(at.state)
      await eventually('the socket is served', async () => (await bodyAtSocket()) === 'one')
    }
    assert.deepEqual(await bodiesAt(at.port), ['one'])
    await gateway.stop()
    assert.equal(existsSync(unix), false)
  })

  it('that are started in place of others have the included files and secrets in force, until a reload', async () => {
    const at = await place()
    const [file, secret] = [path.join(at.state, 'one.yaml'), path.join(at.state, 'secret')]
    const write = (body: string) => {
      writeFileSync(secret, `${body}\n`)
      writeFileSync(file, `sites: [{ host: localhost, routes: [{ respond: { body: "\${file:${secret}}" } }] }]\n`)
    }
    write('in force')
    const gateway = start({ ...configuration(at, ''), sites: undefined, include: [path.join(at.state, '*.yaml')] })
    await gateway.ready
    rmSync(file)
    rmSync(secret)
    await replaceOne(at.state)
    assert.deepEqual(await bodiesAt(at.port), ['in force'])
    write('reloaded')
    gateway.child.kill('SIGHUP')
    await eventually('the new secret', async () => (await bodiesAt(at.port)).join() === 'reloaded')
  })

  it('whose module is broken on disk are tried less and less often, until it is mended', async () => {
    const at = await place()
    const config = configuration(at, 'from code')
    const gateway = start(config, 2, true)
    await gateway.ready
    const good = readFileSync(gateway.file, 'utf8')
    writeFileSync(gateway.file, 'export default {')
    const [victim] = processesOf(at.state)
    process.kill(victim as number, 'SIGKILL')
    await eventually('two tries', () => gateway.said().includes('starting another in 2 s'))
    assert.match(
      gateway.said(),
      /a worker ended \(2\) before it was ready; starting another in 1 s\. .*sallyport\.config\.ts is code, which every process loads/,
    )
    assert.deepEqual(await bodiesAt(at.port), ['from code'])
    writeFileSync(gateway.file, good)
    gateway.child.kill('SIGHUP')
    await eventually('two of them', () => processesOf(at.state).length === 2)
  })

  it('go back together where a reload fails, and say why', async () => {
    const at = await place()
    const gateway = start(configuration(at, 'one'))
    await gateway.ready
    const config = { ...configuration(at, 'two'), workers: 2 }
    const certificate = { chain: gateway.file, key: gateway.file }
    const broken = { ...config, sites: [{ ...config.sites[0], host: 'b.test', certificate }] }
    writeFileSync(gateway.file, JSON.stringify(broken))
    gateway.child.kill('SIGHUP')
    const failed = ({ message }: Record<string, unknown>) => `${message}`.startsWith('reload failed')
    await eventually('both say so', () => gateway.logs().filter(failed).length === 2)
    writeFileSync(gateway.file, JSON.stringify({ ...config, workers: 3 }))
    gateway.child.kill('SIGHUP')
    await gateway.logged(record => failed(record) && `${record['why']}`.startsWith('workers: '))
    const listen = [{ ...config.listen[0], address: '0.0.0.0' }]
    writeFileSync(gateway.file, JSON.stringify({ ...config, listen }))
    gateway.child.kill('SIGHUP')
    await gateway.logged(
      record => failed(record) && /listen\.address cannot be changed from 127\.0\.0\.1/.test(`${record['why']}`),
    )
    assert.deepEqual(await bodiesAt(at.port), ['one'])
    writeFileSync(gateway.file, JSON.stringify(config))
    gateway.child.kill('SIGHUP')
    await eventually(
      'both reload',
      () => gateway.logs().filter(({ message }) => message === 'reloaded').length === 2,
    )
    assert.deepEqual(await bodiesAt(at.port), ['two'])
  })

  it('end when their supervisor is killed, and the next start has the ports for itself', async () => {
    const at = await place()
    const gateway = start(configuration(at, 'old'))
    await gateway.ready
    const workers = processesOf(at.state)
    // A connection that stays open must not keep the port.
    const open = await raw(at.port)
    process.kill(gateway.child.pid as number, 'SIGKILL')
    const next = start(configuration(at, 'new'))
    await next.ready
    assert.deepEqual(await bodiesAt(at.port), ['new'])
    open.destroy()
    await allGone(workers)
  })

  it('that are still starting end with their supervisor too', async () => {
    const at = await place()
    const gateway = start(configuration(at, 'old'))
    const supervisor = gateway.child.pid as number
    await eventually('a worker is there', () => childrenOf(supervisor).length > 0)
    await gateway.kill()
    // Standard error is theirs as well: when it has closed, all have ended. Only then does `kill` resolve.
    assert.deepEqual(processesOf(at.state), [])
  })
})

describe('a gateway that starts on the ports of another', () => {
  for (const [first, second] of [
    [2, 2],
    [1, 2],
    [2, 1],
  ] as const) {
    it(`is refused (${second} where ${first} serve), with the same state folder or another`, async () => {
      const at = await place()
      const gateway = start(configuration(at, 'first'), first)
      await gateway.ready
      for (const state of [at.state, temporaryFolder('sallyport-workers-')]) {
        const other = start(configuration({ ...at, state }, 'second'), second)
        await assert.rejects(other.ready, error => {
          assert.match(`${error}`, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${at.port}`))
          if (first > 1 && second > 1 && state === at.state)
            assert.match(
              `${error}`,
              new RegExp(`the gateway of process ${gateway.child.pid} has it, with the same state`),
            )
          return true
        })
        assert.equal(other.child.exitCode, 2)
      }
      assert.deepEqual(await bodiesAt(at.port), ['first'])
    })
  }

  it('is refused where both start at once', async () => {
    const at = await place()
    const both = [start(configuration(at, 'a')), start(configuration(at, 'b'))]
    const settled = await Promise.allSettled(both.map(({ ready }) => ready))
    assert.deepEqual(settled.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal((await bodiesAt(at.port)).length, 1)
  })

  it('starts where that one has given the port up at a reload, and where it was killed', async () => {
    const at = await place()
    const gateway = start(configuration(at, 'first'))
    await gateway.ready
    const elsewhere = { ...configuration({ ...at, port: await freePort() }, 'first'), workers: 2 }
    writeFileSync(gateway.file, JSON.stringify(elsewhere))
    gateway.child.kill('SIGHUP')
    await eventually(
      'both reload',
      () => gateway.logs().filter(({ message }) => message === 'reloaded').length === 2,
    )
    const second = start(configuration(at, 'second'))
    await second.ready
    assert.deepEqual(await bodiesAt(at.port), ['second'])
    // And a reload back onto a port that is taken by now fails.
    writeFileSync(gateway.file, JSON.stringify({ ...configuration(at, 'first'), workers: 2 }))
    gateway.child.kill('SIGHUP')
    await gateway.logged(({ why }) => `${why}`.includes(`cannot listen on 127.0.0.1:${at.port}`))
  })
})
