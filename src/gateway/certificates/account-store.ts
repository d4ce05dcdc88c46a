/** ACME accounts in storage: one value for each directory and e-mail address, each with its own lock. */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { AccountStore } from '../../acme/account.ts'
import type { Storage } from '../../model/storage.ts'

/** Pause between checks whether another process is done with the account. */
const lockedMs = 300

/** The prefix of all accounts. */
export const accountsPrefix = 'accounts/'

/** The lock of the account at `key` */
export const accountLock = (key: string): string => key.replace('/', '.')

export function accountStore(storage: Storage, directory: string, email: string | null): AccountStore {
  const part = createHash('sha256')
    .update(`${directory} ${email ?? ''}`)
    .digest('hex')
    .slice(0, 32)
  const key = `${accountsPrefix}${part}`
  return {
    place: `${key} in ${storage.name}`,
    load: async () => (await storage.get(key))?.toString('utf8') ?? null,
    save: text => storage.put(key, Buffer.from(text)),
    async alone(work, signal) {
      for (;;) {
        const lease = await storage.lock(accountLock(key))
        if (lease === null) {
          await delay(lockedMs, undefined, { signal })
          continue
        }
        try {
          return await work()
        } finally {
          await lease.release().catch(() => {})
        }
      }
    },
  }
}
