/**
 * The storage in Redis or Valkey, for a fleet: values, locks as leases with fences, and prompt change notifications.
 * Every step that must be atomic is one script on the server (redis-scripts.ts).
 *
 * If the server cannot be reached, every operation throws StorageError `away` at once. Opening never fails for that reason and
 * never waits longer than one deadline. Watchers are called with null when the server is back.
 */
import { randomBytes } from 'node:crypto'
import { nowMs } from '../base/deadlines.ts'
import { type Lease, type Storage, StorageError } from '../model/storage.ts'
import { asideName, checkKey, checkPrefix, checkTtl, checkValue, isKey, maxValueBytes } from './keys.ts'
import { RedisLease } from './redis-lease.ts'
import { type RedisArgument, type RedisConnection, RedisLink, type RedisServer } from './redis-link.ts'
import * as scripts from './redis-scripts.ts'

export type RedisStorageOptions = {
  readonly server: RedisServer
  /** Prefix of every key and of the channel, followed by a `:` */
  readonly prefix: string
  /** Called when the server becomes unreachable, and when it is back */
  readonly notice?: (text: string) => void
  readonly times?: Partial<RedisTimes>
}

type RedisTimes = {
  /** Deadline of each command, and of connecting */
  readonly deadlineMs: number
  readonly leaseMs: number
  /** Between checks of the generation, which also detect a dead connection */
  readonly pollMs: number
}

type Watcher = { readonly prefix: string; readonly changed: (key: string | null) => void }

const defaults: RedisTimes = { deadlineMs: 5_000, leaseMs: 15_000, pollMs: 10_000 }
const rememberFenceMs = 30 * 86_400_000
/** Keys per step of a listing; while a script runs, the server does nothing else. */
const listStep = 500
/** Far more than a fleet has; a server that returns keys endlessly must not fill the memory. */
const maxListed = 1_000_000

export async function openRedisStorage(options: RedisStorageOptions): Promise<Storage> {
  const storage = new RedisStorage(options)
  await storage.open()
  return storage
}

class RedisStorage implements Storage {
  readonly name: string
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #times: RedisTimes
  readonly #watchers = new Set<Watcher>()
  readonly #leases = new Set<RedisLease>()
  #timer: NodeJS.Timeout | null = null
  /** The last known generation */
  #generation = 0

  constructor({ server, prefix, notice = () => {}, times }: RedisStorageOptions) {
    this.#prefix = prefix
    this.#times = { ...defaults, ...times }
    this.#link = new RedisLink({
      server,
      deadlineMs: this.#times.deadlineMs,
      notice,
      message: text => this.#heard(text),
      prepare: connection => this.#prepare(connection),
      // Not earlier: a reader must now get the server's data, and not the old copy.
      ready: () => this.#tell(null),
    })
    this.name = this.#link.name
  }

  async open(): Promise<void> {
    await this.#link.open()
    this.#timer = setInterval(() => void this.#poll().catch(() => {}), this.#times.pollMs).unref()
  }

  async get(key: string): Promise<Buffer | null> {
    checkKey(key)
    const found = await this.#eval(`reading ${key}`, scripts.getScript, [`value:${key}`], [String(maxValueBytes)])
    if (found === null || Buffer.isBuffer(found)) return found
    throw new StorageError(
      'damaged',
      `${key} has ${found} bytes in ${this.name}; a value has ${maxValueBytes} at most`,
    )
  }

  async put(key: string, value: Uint8Array, options: { ttlMs?: number; lease?: Lease } = {}): Promise<void> {
    checkKey(key)
    checkTtl(options.ttlMs)
    const bytes = checkValue(key, value)
    const { ttlMs = 0, lease } = options
    if (lease !== undefined && !(lease instanceof RedisLease))
      throw new RangeError('the lease is not one of this storage')
    lease?.check()
    const done = await this.#eval(
      `writing ${key}`,
      scripts.putScript,
      [`value:${key}`, 'index', 'generation', lease ? `lock:${lease.name}` : 'lock:'],
      [key, this.#channel, bytes, String(ttlMs), lease?.token ?? ''],
    )
    if (done === 1) return
    lease?.lose('another node has it, or the server has forgotten it')
    throw new StorageError('lost', `${key} was not written: the lock ${lease?.name} went to another node`)
  }

  async delete(key: string): Promise<void> {
    checkKey(key)
    await this.#eval(
      `deleting ${key}`,
      scripts.deleteScript,
      [`value:${key}`, 'index', 'generation'],
      [key, this.#channel],
    )
  }

  async list(prefix: string): Promise<readonly string[]> {
    checkPrefix(prefix)
    const keys: string[] = []
    // `0` is the character after `/`.
    const most = `(${prefix.slice(0, -1)}0`
    for (let least = `[${prefix}`; keys.length < maxListed; ) {
      const reply = await this.#eval(
        `listing ${prefix}`,
        scripts.listScript,
        ['index'],
        [least, most, String(listStep), this.#key('value:')],
      )
      const [last, there] = Array.isArray(reply) && Array.isArray(reply[1]) ? reply : ['', []]
      for (const key of there.map(String)) if (isKey(key) && key.startsWith(prefix)) keys.push(key)
      const next = `(${last}`
      if (next === '(' || next.slice(1) <= least.slice(1)) break
      least = next
    }
    return keys.sort()
  }

  async setAside(key: string): Promise<string> {
    checkKey(key)
    for (let attempt = 1; attempt < 1_000; attempt++) {
      const target = `value:${asideName(key, new Date(), attempt)}`
      const done = await this.#eval(
        `setting ${key} aside`,
        scripts.asideScript,
        [`value:${key}`, 'index', 'generation', target],
        [key, this.#channel],
      )
      if (done === 1) return `${this.name} ${this.#key(target)}`
      if (done !== 2) break
    }
    throw new StorageError('refused', `there is no ${key} to set aside in ${this.name}`)
  }

  async lock(name: string): Promise<Lease | null> {
    checkKey(name)
    const token = randomBytes(16).toString('hex')
    const { leaseMs } = this.#times
    const sentAt = nowMs()
    const fence = await this.#eval(
      `taking the lock ${name}`,
      scripts.lockScript,
      [`lock:${name}`, `fence:${name}`],
      [token, String(leaseMs), String(rememberFenceMs)],
    )
    if (fence === 0 || !Buffer.isBuffer(fence)) return null
    const lease: RedisLease = new RedisLease(name, token, Number(String(fence)), sentAt, leaseMs, {
      renew: async () => (await this.#onLock('keeping', scripts.renewScript, lease, String(leaseMs))) === 1,
      release: async () => {
        this.#leases.delete(lease)
        await this.#onLock('releasing', scripts.releaseScript, lease)
      },
    })
    this.#leases.add(lease)
    lease.lost.addEventListener('abort', () => this.#leases.delete(lease))
    return lease
  }

  watch(prefix: string, changed: (key: string | null) => void): () => void {
    checkPrefix(prefix)
    const watcher = { prefix, changed }
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  async close(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer)
    this.#watchers.clear()
    await Promise.all([...this.#leases].map(lease => lease.release()))
    this.#link.close()
  }

  #key(rest: string): string {
    return `${this.#prefix}:${rest}`
  }

  get #channel(): string {
    return this.#key('changes')
  }

  #onLock(doing: string, script: string, lease: RedisLease, ...args: string[]): Promise<unknown> {
    return this.#eval(`${doing} the lock ${lease.name}`, script, [`lock:${lease.name}`], [lease.token, ...args])
  }

  #eval(doing: string, script: string, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    const full = keys.map(key => this.#key(key))
    return this.#link.run(doing, connection =>
      connection.send('EVAL', script, String(keys.length), ...full, ...args),
    )
  }

  /** On a new connection: first subscribe, then read the generation, so that no change is missed in between. */
  async #prepare(connection: RedisConnection): Promise<void> {
    await connection.subscribe(this.#channel)
    this.#generation = generationOf(await connection.send('GET', this.#key('generation')))
  }

  #heard(text: string): void {
    const found = /^([0-9]{1,15}) (\S+)$/.exec(text.slice(0, 1_000))
    const key = found && isKey(found[2]!) ? found[2]! : null
    const generation = key === null ? 0 : Number(found![1])
    const missed = generation > this.#generation + 1
    // Lower ones were published between the subscription and the first check.
    this.#generation = Math.max(this.#generation, generation)
    this.#tell(missed ? null : key)
  }

  /** Detects missed changes, a server that has lost its data, and a dead connection. */
  async #poll(): Promise<void> {
    const look = () =>
      this.#link.run('looking for changes', async connection =>
        generationOf(await connection.send('GET', this.#key('generation'))),
      )
    let generation = await look()
    // Messages that arrived with the reply have increased it already.
    if (generation < this.#generation) generation = await look()
    if (generation === this.#generation) return
    this.#generation = generation
    this.#tell(null)
  }

  #tell(key: string | null): void {
    for (const { prefix, changed } of this.#watchers)
      if (key === null || key.startsWith(prefix)) queueMicrotask(() => changed(key))
  }
}

function generationOf(reply: unknown): number {
  const generation = Number(reply === null ? '0' : String(reply))
  return Number.isSafeInteger(generation) && generation >= 0 ? generation : 0
}
