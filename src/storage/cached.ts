/**
 * A storage with a local copy: values that were read or written under chosen prefixes are also kept in a local folder, as the
 * storage has them (sealed, if it seals). A gateway that starts while Redis is down finds its certificates there.
 *
 * Invariants: the copy is used only if the storage reports `away`, and only for `get` and `list`; it never reports that a value
 * does not exist, because it cannot know. Locks and writes need the storage. If the copy cannot be written, that is logged and
 * nothing fails.
 */
import { messageOf } from '../base/errors.ts'
import { type Storage, StorageError } from '../model/storage.ts'

type CacheOptions = {
  /** Each ends with `/`; for values that do not expire */
  readonly prefixes: readonly string[]
  readonly notice: (text: string) => void
}

/** @param copy closed together with the storage */
export function cached(storage: Storage, copy: Storage, { prefixes, notice }: CacheOptions): Storage {
  const keeps = (key: string) => prefixes.some(prefix => key.startsWith(prefix))
  /** Writes in progress and done, by key: a value that was read before one of them began is stale */
  const writes = new Map<string, number>()
  /** One at a time, so that the copy ends up with the last value */
  let queue: Promise<void> = Promise.resolve()
  let failing = false

  const keep = (key: string, value: Uint8Array | null, writesBefore: number | null): Promise<void> => {
    queue = queue.then(async () => {
      if (writesBefore !== null && (writes.get(key) ?? 0) !== writesBefore) return
      try {
        const has = await copy.get(key).catch(() => undefined)
        // Unknown names come from the network: they cost a lookup and never a write.
        if (value === null ? has !== null : !has?.equals(value))
          await (value === null ? copy.delete(key) : copy.put(key, value))
        failing = false
      } catch (error) {
        if (!failing) notice(`the copy in ${copy.name} cannot be kept: ${messageOf(error)}`)
        failing = true
      }
    })
    return queue
  }

  const forgetOthers = async (prefix: string, keys: readonly string[]): Promise<void> => {
    const there = new Set(keys)
    for (const key of await copy.list(prefix).catch(() => []))
      if (!there.has(key)) await keep(key, null, writes.get(key) ?? 0)
  }

  /** Changes the storage, then the copy. */
  const write = async (key: string, value: Uint8Array | null, act: () => Promise<unknown>): Promise<void> => {
    if (!keeps(key)) return void (await act())
    const count = (writes.get(key) ?? 0) + 1
    writes.set(key, count)
    await act()
    await keep(key, value, count)
  }

  return {
    name: storage.name,
    async get(key) {
      const before = writes.get(key) ?? 0
      try {
        const value = await storage.get(key)
        if (keeps(key)) await keep(key, value, before)
        return value
      } catch (error) {
        if (!isAway(error) || !keeps(key)) throw error
        const value = await copy.get(key).catch(() => null)
        if (value === null) throw error
        return value
      }
    },
    async list(prefix) {
      try {
        const keys = await storage.list(prefix)
        if (keeps(prefix)) await forgetOthers(prefix, keys)
        return keys
      } catch (error) {
        if (!isAway(error) || !keeps(prefix)) throw error
        const keys = await copy.list(prefix).catch(() => [])
        if (keys.length === 0) throw error
        return keys
      }
    },
    put: (key, value, options) => write(key, value, () => storage.put(key, value, options)),
    delete: key => write(key, null, () => storage.delete(key)),
    async setAside(key) {
      let place = ''
      await write(key, null, async () => {
        place = await storage.setAside(key)
      })
      return place
    },
    lock: name => storage.lock(name),
    watch: (prefix, changed) => storage.watch(prefix, changed),
    async close() {
      await storage.close()
      await queue
      await copy.close()
    },
  }
}

function isAway(error: unknown): boolean {
  return error instanceof StorageError && error.kind === 'away'
}
