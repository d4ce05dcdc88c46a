/** Storage in memory for tests of what stands on it. It can be told to fail, and remembers who asked for what. */
import { type Lease, type Storage, StorageError } from '../../src/model/storage.ts'

export class MemoryStorage implements Storage {
  readonly name = 'memory'
  readonly values = new Map<string, { readonly value: Buffer; readonly until: number }>()
  readonly aside: string[] = []
  /** Called before each operation; throws what should be thrown */
  before: (operation: string, key: string) => void = () => {}
  /** Every call fails while it is, as when Redis is away */
  away = false
  private readonly locks = new Map<string, number>()
  private readonly watchers = new Set<{ readonly prefix: string; readonly changed: (key: string | null) => void }>()
  private fence = 0

  async get(key: string): Promise<Buffer | null> {
    this.begin('get', key)
    const found = this.values.get(key)
    return found === undefined || found.until < Date.now() ? null : found.value
  }

  async put(key: string, value: Uint8Array, options: { ttlMs?: number; lease?: Lease } = {}): Promise<void> {
    this.begin('put', key)
    if (options.lease?.lost.aborted) throw new StorageError('lost', 'the lock is somebody else’s now')
    const until = options.ttlMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.ttlMs
    this.values.set(key, { value: Buffer.from(value), until })
    this.tell(key)
  }

  async delete(key: string): Promise<void> {
    this.begin('delete', key)
    if (this.values.delete(key)) this.tell(key)
  }

  async list(prefix: string): Promise<readonly string[]> {
    this.begin('list', prefix)
    return [...this.values.keys()].filter(key => key.startsWith(prefix)).sort()
  }

  async setAside(key: string): Promise<string> {
    this.values.delete(key)
    this.aside.push(key)
    return `${key}.damaged`
  }

  async lock(name: string): Promise<Lease | null> {
    this.begin('lock', name)
    if (this.locks.has(name)) return null
    const fence = ++this.fence
    this.locks.set(name, fence)
    const lost = new AbortController()
    return {
      fence,
      lost: lost.signal,
      release: async () => {
        if (this.locks.get(name) === fence) this.locks.delete(name)
        lost.abort()
      },
    }
  }

  watch(prefix: string, changed: (key: string | null) => void): () => void {
    const watcher = { prefix, changed }
    this.watchers.add(watcher)
    return () => void this.watchers.delete(watcher)
  }

  async close(): Promise<void> {}

  /** As strict about keys as the real ones */
  private begin(operation: string, key: string): void {
    for (const part of key.replace(/\/$/, '').split('/'))
      if (!/^[a-z0-9._:-]{1,200}$/.test(part) || part === '.' || part === '..')
        throw new RangeError(`not a key: ${key}`)
    if (this.away) throw new StorageError('away', 'the storage of the test is away')
    this.before(operation, key)
  }

  private tell(key: string): void {
    for (const { prefix, changed } of this.watchers) if (key.startsWith(prefix)) setImmediate(changed, key)
  }
}
