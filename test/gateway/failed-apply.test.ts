/**
 * A start or a reload that fails, at each of its steps, leaves nothing behind: no listener, no server, no timer, no watched
 * file, no endpoint; and what was in force goes on.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadFromCode } from '../../src/gateway/from-code.ts'
import { ConfigError, createGateway, Gateway, type GatewayEvent, UsageError } from '../../src/index.ts'
import { bindAlone } from '../../src/transport/bind-alone.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { failedApplies, type Ports } from '../harness/failed-applies.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp } from '../harness/raw.ts'

/** What a gateway keeps beside its snapshot. */
type Kept = {
  readonly parts: {
    readonly registries: {
      readonly upstreams: {
        readonly byName: ReadonlyMap<string, unknown>
        readonly destinations: ReadonlyMap<string, unknown>
      }
      readonly crls: { readonly size: number }
      readonly staples: { readonly known: ReadonlyMap<string, unknown>; readonly timer: unknown }
      readonly certificates: {
        readonly pairs: ReadonlyMap<string, unknown>
        readonly casFiles: ReadonlyMap<string, unknown>
        readonly timer: unknown
      }
    }
    readonly managed: { readonly opened: object | null; readonly internalCa: { readonly running: object | null } }
  }
}

function keptBy(gateway: Gateway) {
  const { registries, managed } = (gateway as unknown as Kept).parts
  const { upstreams, crls, staples, certificates } = registries
  return {
    upstreams: upstreams.byName.size,
    destinations: upstreams.destinations.size,
    crls: crls.size,
    staples: staples.known.size,
    sweeping: staples.timer !== null,
    pairs: certificates.pairs.size,
    casFiles: certificates.casFiles.size,
    watching: certificates.timer !== null,
    storage: managed.opened,
    internalCa: managed.internalCa.running,
  }
}

const nothing = {
  upstreams: 0,
  destinations: 0,
  crls: 0,
  staples: 0,
  sweeping: false,
  pairs: 0,
  casFiles: 0,
  watching: false,
  storage: null,
  internalCa: null,
}

let other: net.Server
let ports: Ports

before(async () => {
  other = net.createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  const { port: taken } = other.address() as net.AddressInfo
  ports = {
    taken,
    base: await freePort(),
    listen: await freePort(),
    acme: await freePort(),
    admin: await freePort(),
  }
})
after(() => void other.close())

const areFree = async (...own: readonly number[]) => {
  for (const port of own) await bindAlone('127.0.0.1', port)
}

const quiet = { selfTested: true, out: () => {} }

async function serves(port: number): Promise<void> {
  const client = await rawTcp(port)
  client.send('GET / HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n\r\n')
  assert.match((await client.closed()).received, /here$/)
}

describe('a start that fails', () => {
  it('leaves nothing behind at any step, and can be tried again', async () => {
    const { good, failures } = failedApplies(ports)
    for (const { step, start, config } of failures) {
      if (start === null) continue
      await assert.rejects(createGateway(config, quiet), error => {
        assert.ok(error instanceof UsageError, step)
        assert.match(error.message, start, step)
        return true
      })
      await areFree(ports.base, ports.listen, ports.acme)
      // The same gateway, to look into it: what is wrong with the text of a configuration never comes to one.
      const loaded = await loadFromCode(config).catch(() => null)
      if (loaded === null) continue
      const gateway = new Gateway(loaded.config, quiet)
      await assert.rejects(gateway.start(), start, step)
      assert.deepEqual(keptBy(gateway), nothing, step)
      assert.equal(gateway.snapshotVersion, 0, step)
      assert.deepEqual([gateway.ports, gateway.sites], [[], []], step)
      await areFree(ports.base, ports.listen, ports.acme)
    }
    const events: GatewayEvent['kind'][] = []
    const taker = net.createServer()
    await new Promise<void>(resolve => taker.listen(ports.listen, '127.0.0.1', resolve))
    const gateway = new Gateway((await loadFromCode(good)).config, {
      ...quiet,
      onEvent: ({ kind }) => events.push(kind),
    })
    await assert.rejects(gateway.start(), /EADDRINUSE/)
    await new Promise(resolve => taker.close(resolve))
    await gateway.start()
    await serves(ports.base)
    await assert.rejects(gateway.start(), /has been started/)
    await gateway.drain(0)
    assert.deepEqual(keptBy(gateway), nothing)
    await areFree(ports.base, ports.listen, ports.acme)
    assert.deepEqual(events, ['applied', 'draining', 'stopped'])
  })

  it('lets the process end by itself', async () => {
    const script = path.resolve(import.meta.dirname, '../harness/failed-applies.ts')
    const child = spawn(process.execPath, [script, JSON.stringify(ports)], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (said += chunk))
    const [code] = await once(child, 'close')
    assert.deepEqual([code, said], [0, 'tried\n'])
  })
})

describe('a reload that fails', () => {
  it('leaves what was in force as it was, at any step, and nothing beside it', async () => {
    const { base, good, failures } = failedApplies(ports)
    const events: GatewayEvent[] = []
    const onEvent = (event: GatewayEvent) => {
      events.push(event)
      throw new Error('an observer must not end a reload')
    }
    for (const before of [base, good]) {
      const gateway = await createGateway(before, { ...quiet, onEvent })
      const { config, sites } = gateway
      const kept = keptBy(gateway)
      for (const { step, reload, config: wrong } of failures) {
        events.length = 0
        await assert.rejects(gateway.reload(wrong), error => {
          assert.ok(error instanceof UsageError, step)
          assert.match(error.message, reload, step)
          return true
        })
        assert.deepEqual([events.map(({ kind }) => kind), gateway.snapshotVersion], [['rejected'], 1], step)
        assert.ok(gateway.config === config && gateway.sites === sites, step)
        const now = keptBy(gateway)
        assert.deepEqual({ ...now, storage: 0, internalCa: 0 }, { ...kept, storage: 0, internalCa: 0 }, step)
        assert.ok(now.storage === kept.storage && now.internalCa === kept.internalCa, step)
        if (before === base) await areFree(ports.listen, ports.acme)
        await serves(ports.base)
      }
      events.length = 0
      await gateway.reload(before === base ? good : base)
      const wanted = before === base ? [ports.base, ports.listen] : [ports.base]
      assert.deepEqual(events, [{ kind: 'applied', version: 2, ports: wanted, sites: wanted.length }])
      await gateway.drain(0)
      assert.deepEqual(keptBy(gateway), nothing)
      await areFree(ports.base, ports.listen, ports.acme)
    }
  })

  it('that reads a file says where the mistake is, and one that comes while it drains is refused', async () => {
    const { base } = failedApplies(ports)
    const gateway = await createGateway(base, quiet)
    await assert.rejects(gateway.reload(path.join(temporaryFolder(), 'sallyport.yaml')), error => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.problems[0]?.message ?? '', /does not exist/)
      return true
    })
    const reloading = gateway.reload({
      ...base,
      listen: [...base.listen, { port: ports.listen, address: '127.0.0.1' }],
    })
    const [refused] = await Promise.all([reloading.catch(error => error), gateway.drain(0)])
    assert.match(String(refused), /the gateway is draining/)
    await assert.rejects(gateway.reload(base), /the gateway is draining/)
    await areFree(ports.base, ports.listen)
    assert.deepEqual(keptBy(gateway), nothing)
  })
})
