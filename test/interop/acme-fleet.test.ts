/**
 * Gateway processes that share Redis: one of them orders, all of them serve and answer challenges, and whoever dies is
 * replaced. With Pebble for the answers, and with a CA that counts orders for the rest.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { openRedisStorage } from '../../src/storage/redis.ts'
import { temporaryFolder, testCa } from '../harness/certificates.ts'
import { type FakeAcme, fakeAcme, type RequestKind } from '../harness/fake-acme.ts'
import { type GatewayProcess, spawnGateway } from '../harness/gateway-process.ts'
import { dueRecord, fingerprintOf } from '../harness/kept-certificate.ts'
import { pebbleIsMissing, startPebble } from '../harness/pebble.ts'
import { freePort } from '../harness/ports.ts'
import { hasRedis, type Redis, startRedis } from '../harness/redis.ts'
import { eventually } from '../harness/until.ts'

type Node = GatewayProcess & { readonly port: number; readonly httpPort: number; readonly state: string }
type Terms = {
  readonly redis: Redis
  readonly prefix: string
  readonly acme: object
  readonly names?: readonly string[]
  readonly workers?: number
  readonly seal?: object
}

const running: (Node | { stop(): Promise<void> })[] = []
const says = (message: string) => (record: Record<string, unknown>) => record['message'] === message
const saysSome = (pattern: RegExp) => (record: Record<string, unknown>) => pattern.test(String(record['message']))

async function start(
  { redis, prefix, acme, names = ['shop.test'], workers, seal }: Terms,
  state?: string,
): Promise<Node> {
  const [port, httpPort] = await Promise.all([freePort(), freePort()])
  const own = state ?? temporaryFolder('sallyport-state-')
  const gateway = spawnGateway(
    {
      state: own,
      storage: { redis: `redis://127.0.0.1:${redis.port}`, prefix, lease: '2s', ...(seal && { seal }) },
      listen: [
        { port, address: '127.0.0.1' },
        { port: httpPort, address: '127.0.0.1', cleartext: 'redirect' },
      ],
      sites: names.map(host => ({
        host,
        certificate: 'acme',
        routes: [{ respond: { status: 200, body: 'hello' } }],
      })),
      acme: { email: 'ops@example.com', challenges: ['http-01'], ...acme },
    },
    workers === undefined ? {} : { workers },
  )
  const node = { ...gateway, port, httpPort, state: own }
  running.push(node)
  return node
}

/** Processes start and Redis comes back within this. */
const fleetMs = 120_000

const shown = (node: Node, name: string, fake: FakeAcme | null) =>
  fingerprintOf(node.port, name, fake?.ca ?? null).catch(() => null)

/** Every one of them shows the same certificate for `name`. @returns its fingerprint */
async function agreed(nodes: readonly Node[], name: string, fake: FakeAcme | null, times = 1): Promise<string> {
  let found: (string | null)[] = []
  await eventually(
    `the nodes show one certificate for ${name}`,
    async () => {
      const all = nodes.flatMap(node => Array.from({ length: times }, () => shown(node, name, fake)))
      found = await Promise.all(all)
      return found[0] !== null && new Set(found).size === 1
    },
    fleetMs,
  )
  return found[0] as string
}

const orderer = (nodes: readonly Node[]): Node =>
  nodes.find(node => node.logs().some(saysSome(/^(ordering|renewing) a certificate$/))) as Node

describe('gateways that share Redis', { skip: hasRedis ? false : 'no redis-server' }, () => {
  let redis: Redis
  let fake: FakeAcme

  before(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map(each => each.stop()))
    await fake?.close()
  })
  after(() => redis.remove())

  const terms = (prefix: string, more: Partial<Terms> = {}): Terms => ({
    redis,
    prefix,
    acme: { directory: fake.url },
    ...more,
  })

  test('two of them make one order, and both serve what came of it', async () => {
    fake = await fakeAcme()
    const nodes = await Promise.all([start(terms('two')), start(terms('two'))])
    await agreed(nodes, 'shop.test', fake)
    assert.equal(fake.orders.size, 1)
    assert.equal(fake.accounts.size, 1)
    const obtained = () => nodes.flatMap(node => node.logs()).filter(says('certificate obtained')).length
    // It serves a moment before the log has it.
    await eventually('one of them says so', () => obtained() > 0, fleetMs)
    assert.equal(obtained(), 1)
  })

  for (const kind of ['http-01', 'tls-alpn-01'] as const) {
    const skip = pebbleIsMissing || false
    test(`${kind}: the node that did not order answers the CA`, { skip }, async () => {
      const ca = testCa()
      fake = await fakeAcme()
      const pebble = await startPebble({ ca, ownAnswers: true })
      running.push({ stop: async () => pebble.stop() })
      const name = `${kind}.test`
      const acme = { directory: pebble.directory, ca: ca.file, challenges: [kind] }
      const nodes = await Promise.all([0, 1].map(() => start(terms(kind, { acme, names: [name] }))))
      let answered = 0
      // Where Pebble looks there is whoever is not at work on the order.
      const forward = net.createServer(async from => {
        answered++
        const other = nodes.find(node => node !== orderer(nodes)) as Node
        await other.ready
        const to = net.connect(kind === 'http-01' ? other.httpPort : other.port, '127.0.0.1')
        for (const socket of [from, to]) socket.on('error', () => {})
        from.pipe(to).pipe(from)
      })
      forward.listen(kind === 'http-01' ? pebble.httpPort : pebble.tlsPort, '127.0.0.1')
      running.push({ stop: async () => void forward.close() })
      await agreed(nodes, name, null)
      assert.ok(answered > 0)
      const logs = nodes.flatMap(node => node.logs())
      assert.equal(logs.filter(says('ordering a certificate')).length, 1)
      assert.deepEqual(logs.filter(says('no new certificate')), [])
    })
  }

  for (const kind of ['challenge', 'cert'] as RequestKind[]) {
    test(`one that is killed at its ${kind} request is replaced: the other goes on with the same order`, async () => {
      fake = await fakeAcme()
      const nodes: Node[] = []
      let dead: Node | null = null
      fake.script = seen => {
        if (dead !== null || seen.kind !== kind) return null
        dead = orderer(nodes)
        dead.child.kill('SIGKILL')
        return { reset: 'before' }
      }
      nodes.push(...(await Promise.all([0, 1].map(() => start(terms(`killed-${kind}`))))))
      await eventually('one of them is dead', () => dead !== null, fleetMs)
      const other = nodes.find(node => node !== dead) as Node
      await other.logged(says('certificate obtained'))
      await agreed([other], 'shop.test', fake)
      assert.equal(fake.orders.size, 1)
      const { state } = dead as unknown as Node
      const again = await start(terms(`killed-${kind}`), state)
      await agreed([again, other], 'shop.test', fake)
      assert.equal(fake.orders.size, 1)
    })
  }

  test('three with two workers each make one order for each name', async () => {
    fake = await fakeAcme()
    const names = ['one.test', 'two.test', 'three.test']
    const nodes = await Promise.all([0, 1, 2].map(() => start(terms('three', { names, workers: 2 }))))
    await Promise.all(nodes.map(node => node.ready))
    for (const name of names) await agreed(nodes, name, fake, 8)
    assert.equal(fake.orders.size, names.length)
    assert.equal(fake.accounts.size, 1)
  })
})

describe('gateways whose Redis goes away', { skip: hasRedis ? false : 'no redis-server' }, () => {
  let fake: FakeAcme
  const servers: Redis[] = []

  before(async () => {
    fake = await fakeAcme()
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map(each => each.stop()))
    for (const redis of servers.splice(0)) {
      redis.signal('SIGCONT')
      await redis.remove()
    }
  })
  after(() => fake.close())

  /** Two nodes with a certificate for `name`. */
  async function fleet(name: string, seal?: object): Promise<{ terms: Terms; nodes: Node[]; fingerprint: string }> {
    const redis = await startRedis()
    servers.push(redis)
    const terms = { redis, prefix: 'fleet', acme: { directory: fake.url }, names: [name], ...(seal && { seal }) }
    const nodes = await Promise.all([start(terms), start(terms)])
    await Promise.all(nodes.map(node => node.ready))
    return { terms, nodes, fingerprint: await agreed(nodes, name, fake) }
  }

  async function restarted(node: Node, terms: Terms): Promise<Node> {
    await node.kill()
    const next = await start(terms, node.state)
    await next.ready
    return next
  }

  test('killed: all serve, one that starts serves from its copy and says what is next, and renews when it is back', async () => {
    const { terms, nodes, fingerprint } = await fleet('killed.test')
    const [first, second] = nodes as [Node, Node]
    // A renewal that is due, which the second takes note of in its copy.
    const direct = await openRedisStorage({
      server: terms.redis.server,
      prefix: 'fleet',
      times: { leaseMs: 1_000 },
    })
    const holder = await direct.lock('orders.killed.test')
    await direct.put('certificates/killed.test.ecdsa', dueRecord(fake.ca, fake.url, 'killed.test'))
    await eventually(
      'both have the due one',
      async () => (await agreed(nodes, 'killed.test', fake)) !== fingerprint,
      fleetMs,
    )
    const due = await agreed(nodes, 'killed.test', fake)
    await terms.redis.kill()
    await holder?.release()
    await direct.close()
    assert.equal(await shown(first, 'killed.test', fake), due)
    await first.logged(saysSome(/^redis .*; trying again until it is reachable$/))
    const again = await restarted(second, terms)
    assert.equal(await shown(again, 'killed.test', fake), due)
    const record = await again.logged(says('storage fails; the current certificate stays in use'))
    assert.match(String(record['why']), /redis 127\.0\.0\.1/)
    assert.ok(Date.parse(String(record['next'])) > Date.now() - 60_000)
    const { size } = fake.orders
    await terms.redis.start()
    await again.logged(saysSome(/^redis .* is reachable again after/))
    const both = [first, again]
    await eventually('it is renewed', async () => (await agreed(both, 'killed.test', fake)) !== due, fleetMs)
    assert.equal(fake.orders.size, size + 1)
  })

  test('killed, and back without its data: what the nodes have in memory is there again, and nothing is ordered', async () => {
    const { terms, nodes, fingerprint } = await fleet('lost.test')
    const { size } = fake.orders
    await terms.redis.kill()
    await terms.redis.start('--appendonly', 'no')
    const [first, second] = nodes as [Node, Node]
    const look = () => terms.redis.command('EXISTS', 'fleet:value:certificates/lost.test.ecdsa')
    await eventually('it is there again', async () => (await look()).startsWith(':1'), fleetMs)
    const again = await restarted(second, terms)
    assert.equal(await agreed([first, again], 'lost.test', fake), fingerprint)
    assert.equal(fake.orders.size, size)
  })

  for (const kind of ['passphrase', 'keyFile'])
    test(`the same, sealed with a ${kind}: all start again, one by one and all at once, and read what is there`, async () => {
      const keyFile = path.join(temporaryFolder('sallyport-key-'), 'seal.key')
      writeFileSync(keyFile, Buffer.alloc(32, 5))
      const seal = kind === 'keyFile' ? { keyFile } : { passphrase: 'correct horse battery' }
      const { terms, nodes, fingerprint } = await fleet('salted.test', seal)
      const { size } = fake.orders
      const accounts = fake.accounts.size
      await terms.redis.kill()
      await terms.redis.start('--appendonly', 'no')
      const has = async (key: string) =>
        (await terms.redis.command('EXISTS', `fleet:value:${key}`)).startsWith(':1')
      await eventually('it is there again', () => has('certificates/salted.test.ecdsa'), fleetMs)
      assert.ok(await has('seal/keys'))
      const keys = () => terms.redis.command('ZRANGE', 'fleet:index', '0', '-1')
      await eventually('the account is there again', async () => /\naccounts\//.test(await keys()), fleetMs)
      const [first, second] = nodes as [Node, Node]
      const again = await restarted(second, terms)
      assert.equal(await agreed([first, again], 'salted.test', fake), fingerprint)
      // Nobody is left who has anything in memory.
      await Promise.all([first.kill(), again.kill()])
      await terms.redis.kill()
      await terms.redis.start('--appendonly', 'no')
      const both = await Promise.all([first, again].map(node => start(terms, node.state)))
      await agreed(both, 'salted.test', fake)
      const third = await start(terms)
      await agreed([...both, third], 'salted.test', fake)
      assert.ok(fake.orders.size <= size + 1)
      assert.ok(fake.accounts.size <= accounts + 1)
      const logs = [...both, third, again].flatMap(node => node.logs())
      assert.deepEqual(
        logs.filter(({ why }) => /sealed|seal\/keys/.test(String(why ?? ''))),
        [],
      )
    })

  test('hanging: handshakes do not notice, one that starts waits for one deadline and serves from its copy', async () => {
    const { terms, nodes, fingerprint } = await fleet('hang.test')
    const [first, second] = nodes as [Node, Node]
    terms.redis.signal('SIGSTOP')
    const shows = await Promise.all(Array.from({ length: 20 }, () => shown(first, 'hang.test', fake)))
    assert.deepEqual(new Set(shows), new Set([fingerprint]))
    const again = await restarted(second, terms)
    assert.equal(await shown(again, 'hang.test', fake), fingerprint)
    await again.logged(saysSome(/^redis .*no answer within 5000 ms; trying again until it is reachable$/))
    terms.redis.signal('SIGCONT')
    await again.logged(saysSome(/^redis .* is reachable again after/))
    assert.equal(await agreed([first, again], 'hang.test', fake), fingerprint)
  })
})
