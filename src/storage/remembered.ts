/**
 * A storage whose values under one prefix are remembered by whoever has read or written them, and put back when the storage
 * has lost its data: for the few that cannot be had again, as ACME accounts. Where several remember, one puts.
 *
 * Invariants: what was deleted and told as such is forgotten. Nothing is put over a value that is there. What cannot be
 * put back now is tried at the next interruption.
 */
import type { Storage } from '../model/storage.ts'

type RememberOptions = {
  /** Ends with `/` */
  readonly prefix: string
  /** Whoever makes the value anew holds it */
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

  /** Somebody has changed it. */
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
