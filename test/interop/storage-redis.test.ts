/** The storage in a real Redis: the behaviour of every storage, and a server that goes away, hangs, forgets and comes back. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Storage } from '../../src/model/storage.ts'
import { openRedisStorage, type RedisStorageOptions } from '../../src/storage/redis.ts'
import { sealed } from '../../src/storage/sealed.ts'
import { freePort } from '../harness/ports.ts'
import { hasRedis, type Redis, startRedis } from '../harness/redis.ts'
import { behavesAsStorage, isKind } from '../harness/storage-behaviour.ts'
import { eventually } from '../harness/until.ts'

const skip = hasRedis ? false : 'redis-server is not installed'
/** As docs/storage.md has it */
const allowed =
  '+hello +select +eval +subscribe +publish +get +set +del +exists +strlen +incr +rename +persist +pexpire +time +zadd +zrem +zrangebylex'
const short = { deadlineMs: 1_000, leaseMs: 2_500, pollMs: 100 }
const quick = { deadlineMs: 2_000, leaseMs: 6_000, pollMs: 100 }

describe('redis', { skip }, () => {
  let redis: Redis
  let count = 0
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis.remove())

  const open = (options: Partial<RedisStorageOptions> = {}) =>
    openRedisStorage({ server: redis.server, prefix: `test${++count}`, times: { pollMs: 100 }, ...options })

  behavesAsStorage(async () => {
    const prefix = `test${++count}`
    const [storage, other] = [await open({ prefix }), await open({ prefix })]
    const close = async () => {
      await storage.close()
      await other.close()
    }
    return { storage, other, close }
  })

  describe('sealed', () => {
    behavesAsStorage(async () => {
      const prefix = `test${++count}`
      const secret = { key: Buffer.alloc(32, 3) }
      const [storage, other] = [
        await sealed(await open({ prefix }), secret),
        await sealed(await open({ prefix }), secret),
      ]
      const close = async () => {
        await storage.close()
        await other.close()
      }
      return { storage, other, close }
    })
  })

  it('keeps two prefixes apart', async () => {
    const [a, b] = [await open({ prefix: 'a' }), await open({ prefix: 'ab' })]
    await a.put('x/y', Buffer.from('a'))
    assert.equal(await b.get('x/y'), null)
    assert.deepEqual(await b.list('x/'), [])
    assert.ok(await a.lock('l'))
    assert.ok(await b.lock('l'))
    await a.close()
    await b.close()
  })

  it('finds what is there and is no value of ours', async () => {
    const storage = await open({ prefix: 'odd' })
    await redis.command('LPUSH', 'odd:value:list', 'x')
    await assert.rejects(storage.get('list'), isKind('damaged'))
    await redis.command('SET', 'odd:value:huge', 'x'.repeat(1_100_000))
    await assert.rejects(storage.get('huge'), isKind('damaged'))
    await redis.command('ZADD', 'odd:index', '0', 'c/../x', '0', 'c/NO', '0', 'c/gone')
    await redis.command('SET', 'odd:value:c/../x', '1')
    await redis.command('SET', 'odd:value:c/NO', '1')
    assert.deepEqual(await storage.list('c/'), [])
    await redis.command('PUBLISH', 'odd:changes', 'garbage')
    const told: (string | null)[] = []
    storage.watch('c/', key => told.push(key))
    await eventually('garbage is told', async () => {
      await redis.command('PUBLISH', 'odd:changes', `99 ${'x'.repeat(5_000)}\n`)
      return told.includes(null)
    })
    await storage.close()
  })

  it('tells everything when a message was missed', async () => {
    const storage = await open({ prefix: 'missed', times: { pollMs: 60_000 } })
    const told: (string | null)[] = []
    storage.watch('c/', key => told.push(key))
    await redis.command('INCR', 'missed:generation')
    await storage.put('c/x', Buffer.from('x'))
    await eventually('null is told', () => told.includes(null))
    await storage.close()
    const polling = await open({ prefix: 'missed' })
    const found: (string | null)[] = []
    polling.watch('c/', key => found.push(key))
    await redis.command('INCR', 'missed:generation')
    await eventually('the poll tells', () => found.includes(null))
    await polling.close()
  })

  it('has growing fences also when the server has forgotten everything', async () => {
    const storage = await open({ prefix: 'fences' })
    const first = await storage.lock('l')
    await first!.release()
    await redis.command('FLUSHALL')
    const second = await storage.lock('l')
    assert.ok(second!.fence > first!.fence)
    await redis.command('FLUSHALL')
    await assert.rejects(storage.put('k', Buffer.from('x'), { lease: second! }), isKind('lost'))
    assert.equal(second!.lost.aborted, true)
    await storage.close()
  })

  it('gives up a lock that the server gave to somebody else', async () => {
    const storage = await open({ prefix: 'stolen', times: quick })
    const lease = await storage.lock('l')
    await redis.command('SET', 'stolen:lock:l', 'somebody')
    await eventually('it is lost', () => lease!.lost.aborted)
    await lease!.release()
    assert.match(await redis.command('GET', 'stolen:lock:l'), /somebody/)
    await storage.close()
  })

  it('keeps a lock for longer than its lease, and lets go of it', async () => {
    const storage = await open({ prefix: 'kept', times: short })
    const lease = await storage.lock('l')
    const until = performance.now() + 2 * short.leaseMs
    await eventually('two leases are over', async () => {
      assert.equal(await storage.lock('l'), null)
      return performance.now() > until
    })
    assert.equal(lease!.lost.aborted, false)
    await lease!.release()
    assert.ok(await storage.lock('l'))
    await storage.close()
  })
})

describe('a redis with bad days', { skip }, () => {
  const rejected: unknown[] = []
  const note = (reason: unknown) => rejected.push(reason)
  before(() => process.on('unhandledRejection', note))
  after(() => {
    process.off('unhandledRejection', note)
    assert.deepEqual(rejected, [])
  })

  /** Each kind of call fails as away: `known` to be, they do so at once, without waiting for anything. */
  async function isAway(storage: Storage, known: 'known' | 'unknown'): Promise<void> {
    // What timed out may still be done later, so none of these is a key of the tests.
    const calls: (() => Promise<unknown>)[] = [
      () => storage.get('away'),
      () => storage.put('away', Buffer.from('x')),
      () => storage.delete('away'),
      () => storage.list('away/'),
      () => storage.setAside('away'),
      () => storage.lock('away'),
    ]
    let ended = 0
    const all = calls.map(call => assert.rejects(call(), isKind('away')).then(() => void ended++))
    if (known === 'known') {
      await new Promise(setImmediate)
      assert.equal(ended, calls.length)
    }
    await Promise.all(all)
  }

  async function withRedis(
    use: (redis: Redis, open: () => Promise<Storage>, notices: string[]) => Promise<void>,
    ...args: string[]
  ) {
    const redis = await startRedis(...args)
    const notices: string[] = []
    const opened: Storage[] = []
    const open = async () => {
      const notice = (text: string) => notices.push(text)
      const storage = await openRedisStorage({ server: redis.server, prefix: 'sallyport', notice, times: quick })
      opened.push(storage)
      return storage
    }
    try {
      await use(redis, open, notices)
    } finally {
      for (const storage of opened) await storage.close()
      await redis.remove()
    }
  }

  it('is killed and comes back with its data: locks and watchers go on', () =>
    withRedis(async (redis, open, notices) => {
      const [storage, other] = [await open(), await open()]
      const told: (string | null)[] = []
      await storage.put('c/k', Buffer.from('old'))
      storage.watch('c/', key => told.push(key))
      const lease = await storage.lock('l')
      for (let time = 0; time < 3; time++) {
        await redis.kill()
        await eventually('it is noticed', () => notices.some(text => /cannot|closed|ECONN/.test(text)))
        await isAway(storage, 'unknown')
        told.length = 0
        await redis.start()
        await eventually(
          'it is back',
          async () => (await storage.get('c/k').catch(() => null))?.toString() === 'old',
        )
        await eventually('null is told', () => told.includes(null))
        await eventually('the other is back', () =>
          other.get('c/k').then(
            () => true,
            () => false,
          ),
        )
        told.length = 0
        await other.put('c/new', Buffer.from('x'))
        await eventually('it is told again', () => told.includes('c/new'))
      }
      // Either it was renewed in time or it is lost; never silently neither.
      const next = await other.lock('l')
      assert.equal(next !== null, lease!.lost.aborted)
      assert.ok(
        notices.some(text => / is reachable again after /.test(text)),
        String(notices),
      )
    }))

  it('can be read by whoever is told that it is back', () =>
    withRedis(async (redis, open) => {
      const storage = await open()
      await storage.put('c/k', Buffer.from('x'))
      const reads: Promise<Buffer | null | Error>[] = []
      storage.watch('c/', key => {
        if (key === null) reads.push(storage.get('c/k').catch(error => error))
      })
      await redis.kill()
      await redis.start()
      await eventually('null is told', () => reads.length > 0)
      assert.deepEqual(await reads[0], Buffer.from('x'))
    }))

  it('comes back without its data: a lock is lost, and never two have it', () =>
    withRedis(async (redis, open) => {
      const [storage, other] = [await open(), await open()]
      const lease = await storage.lock('l')
      await redis.kill()
      await redis.start('--appendonly', 'no')
      let next: Awaited<ReturnType<Storage['lock']>> = null
      await eventually('the other has it', async () => {
        next = await other.lock('l').catch(() => null)
        return next !== null
      })
      await assert.rejects(
        eventually('ours is refused', () =>
          storage.put('k', Buffer.from('x'), { lease: lease! }).then(
            () => false,
            error => {
              if (error.kind === 'lost') throw error
              return false
            },
          ),
        ),
        isKind('lost'),
      )
      assert.equal(lease!.lost.aborted, true)
      await other.put('k', Buffer.from('theirs'), { lease: next! })
    }))

  it('hangs: every call ends by its deadline, locks end with their lease, and all goes on afterwards', () =>
    withRedis(async (redis, open) => {
      const storage = await open()
      const lease = await storage.lock('l')
      await storage.put('k', Buffer.from('old'))
      const renewedBy = performance.now() + quick.leaseMs
      await eventually('it has been renewed', () => performance.now() > renewedBy)
      assert.equal(lease!.lost.aborted, false)
      redis.signal('SIGSTOP')
      await isAway(storage, 'unknown')
      // From now on it is known to be away, and nobody waits.
      await isAway(storage, 'known')
      await eventually('the lock is lost', () => lease!.lost.aborted)
      await assert.rejects(storage.put('k', Buffer.from('x'), { lease: lease! }), isKind('lost'))
      const late = await open()
      await isAway(late, 'known')
      redis.signal('SIGCONT')
      await eventually('it is back', async () => (await storage.get('k').catch(() => null))?.toString() === 'old')
      await eventually(
        'for the other too',
        async () => (await late.get('k').catch(() => null))?.toString() === 'old',
      )
    }))

  it('is not there at the start, and comes later', () =>
    withRedis(async (redis, open, notices) => {
      await redis.kill()
      const storage = await open()
      await isAway(storage, 'known')
      const told: (string | null)[] = []
      storage.watch('c/', key => told.push(key))
      await redis.start()
      await eventually('null is told', () => told.includes(null))
      await storage.put('c/k', Buffer.from('x'))
      assert.equal(notices.length, 2, String(notices))
    }))

  it('has no room left, or takes no writes', () =>
    withRedis(async (redis, open) => {
      const storage = await open()
      await storage.put('k', Buffer.from('old'))
      await redis.command('CONFIG', 'SET', 'maxmemory', '1')
      await assert.rejects(storage.put('k', Buffer.from('x')), isKind('full'))
      await redis.command('CONFIG', 'SET', 'maxmemory', '0')
      assert.equal((await storage.get('k'))?.toString(), 'old')
      await redis.command('REPLICAOF', '127.0.0.1', '1')
      await assert.rejects(storage.put('k', Buffer.from('x')), isKind('away'))
      await redis.command('REPLICAOF', 'NO', 'ONE')
      await eventually('it is the primary again', () =>
        storage.put('k', Buffer.from('new')).then(
          () => true,
          () => false,
        ),
      )
    }))

  it('asks for a password, which is never said again', async () => {
    const redis = await startRedis(
      '--requirepass',
      'secret-word',
      '--user',
      ...`gate on >other-word ~sallyport:* &sallyport:* ${allowed}`.split(' '),
    )
    const notices: string[] = []
    const open = (username: string | null, password: string | null, prefix = 'sallyport') =>
      openRedisStorage({
        server: { ...redis.server, username, password },
        prefix,
        notice: text => notices.push(text),
        times: quick,
      })
    const texts: string[] = []
    for (const [username, password] of [
      [null, null],
      [null, 'wrong-word'],
      ['gate', 'wrong-word'],
      ['nobody', 'other-word'],
    ] as const) {
      const storage = await open(username, password)
      await assert.rejects(storage.get('k'), error => {
        texts.push(String(error), JSON.stringify(error), String((error as Error).stack))
        return isKind('refused')(error)
      })
      await storage.close()
    }
    for (const [username, password] of [
      [null, 'secret-word'],
      ['gate', 'other-word'],
    ] as const) {
      const storage = await open(username, password)
      await storage.put('k', Buffer.from('x'))
      await storage.put('short', Buffer.from('x'), { ttlMs: 5_000 })
      await storage.setAside('short')
      await (await storage.lock('l'))!.release()
      assert.deepEqual(await storage.list('x/'), [])
      await storage.close()
    }
    const elsewhere = await open('gate', 'other-word', 'elsewhere')
    await assert.rejects(elsewhere.put('k', Buffer.from('x')), isKind('refused'))
    await elsewhere.close()
    assert.doesNotMatch([...texts, ...notices].join('\n'), /secret-word|other-word|wrong-word/)
    await redis.remove()
  })

  it('speaks TLS with a CA of its own, and asks for our certificate', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-redis-tls-'))
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
    run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test ca')
    for (const name of ['server', 'client'])
      run(
        'req',
        '-x509',
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        ...key,
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.pem`,
        '-subj',
        `/CN=${name}`,
        '-addext',
        'subjectAltName=DNS:localhost',
        '-addext',
        'basicConstraints=critical,CA:FALSE',
      )
    const port = await freePort()
    const file = (name: string) => path.join(folder, name)
    const tls = [
      '--tls-port',
      String(port),
      '--tls-cert-file',
      file('server.pem'),
      '--tls-key-file',
      file('server.key'),
      '--tls-ca-cert-file',
      file('ca.pem'),
    ]
    const redis = await startRedis(...tls)
    const text = (name: string) => readFileSync(file(name), 'utf8')
    const certificate = { chain: text('client.pem'), key: text('client.key') }
    const open = (host: string, ca: string | null, shown: typeof certificate | null) =>
      openRedisStorage({
        server: { ...redis.server, host, port, tls: { ca, certificate: shown } },
        prefix: 'p',
        times: quick,
      })
    const storage = await open('localhost', text('ca.pem'), certificate)
    await storage.put('k', Buffer.from('x'))
    assert.equal((await storage.get('k'))?.toString(), 'x')
    await storage.close()
    for (const [host, ca, shown] of [
      ['localhost', null, certificate],
      ['127.0.0.1', text('ca.pem'), certificate],
      ['localhost', text('ca.pem'), null],
    ] as const) {
      const refused = await open(host, ca, shown)
      await assert.rejects(refused.get('k'), isKind('away'))
      await refused.close()
    }
    await redis.remove()
    rmSync(folder, { recursive: true })
  })

  it('is something else: garbage, silence, endless answers', async () => {
    const answers: ((socket: net.Socket) => void)[] = [
      socket => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      socket => socket.write('*-5\r\n$999999999999\r\n'),
      socket => socket.write('%2\r\n+a\r\n'),
      socket => socket.destroy(),
      () => {},
      socket => socket.on('data', () => socket.write('+OK\r\n'.repeat(100))),
      socket => socket.on('data', () => socket.write(`-WRONGPASS \x1b[31m${'x'.repeat(10_000)}\r\n`)),
    ]
    for (const answer of answers) {
      const server = net.createServer(socket => {
        socket.on('error', () => {})
        answer(socket)
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as net.AddressInfo
      const notices: string[] = []
      const storage = await openRedisStorage({
        server: { host: '127.0.0.1', port, database: 0, username: null, password: null, tls: null },
        prefix: 'p',
        notice: text => notices.push(text),
        times: quick,
      })
      await assert.rejects(storage.get('k'), error => /away|refused/.test((error as { kind: string }).kind))
      assert.ok(
        notices.every(text => text.length < 400 && /^[\x20-\x7e]*$/.test(text)),
        String(notices),
      )
      await storage.close()
      server.close()
    }
  })
})
