/**
 * A storage that remembers the values under one prefix that this process has read or written, and restores them if the storage
 * has lost its data: for the few that cannot be replaced, such as ACME accounts. If several processes remember a value, one restores it.
 *
 * Invariants: a value whose deletion was reported is forgotten. An existing value is never overwritten. A value that cannot be
 * restored now is tried again after the next interruption.
 */
import type { Storage } from '../model/storage.ts'

type RememberOptions = {
  /** Ends with `/` */
  readonly prefix: string
  /** Held by the process that creates the value again */
  readonly lockOf: (key: string) => string
}

export function remembered(storage: Storage, { prefix, lockOf }: RememberOptions): Storage {
  const values = new Map<string, Buffer>()
  let restoring: Promise<void> = Promise.resolve()

  const remember = (key: string, value: Uint8Array | null) => {
    if (key.startsWith(prefix) && value !== null) values.set(key, Buffer.from(value))
  }

  const restore = async () => {
    for (const [key, value] of values) {
      const lease = (await storage.get(key)) === null ? await storage.lock(lockOf(key)) : null
      if (lease === null) continue
      try {
        if ((await storage.get(key)) === null) await storage.put(key, value, { lease })
      } finally {
        await lease.release()
      }
    }
  }

  /** It was changed by another process. */
  const look = async (key: string) => {
    if (!values.has(key)) return
    const value = await storage.get(key)
    if (value === null) values.delete(key)
    else remember(key, value)
  }

  const unwatch = storage.watch(prefix, key => {
    restoring = restoring.then(() => (key === null ? restore() : look(key))).catch(() => {})
  })

  return {
    name: storage.name,
    async get(key) {
      const value = await storage.get(key)
      remember(key, value)
      return value
    },
    async put(key, value, options) {
      await storage.put(key, value, options)
      remember(key, value)
    },
    async delete(key) {
      await storage.delete(key)
      values.delete(key)
    },
    async setAside(key) {
      const place = await storage.setAside(key)
      values.delete(key)
      return place
    },
    list: each => storage.list(each),
    lock: name => storage.lock(name),
    watch: (each, changed) => storage.watch(each, changed),
    async close() {
      unwatch()
      await storage.close()
      await restoring
    },
  }
}
