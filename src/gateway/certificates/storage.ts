/**
 * The storage of a configuration: files in the state folder, or Redis with a local copy of what the gateway
 * cannot start without; sealed if configured.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { messageOf, UsageError } from '../../base/errors.ts'
import type { Config, RedisConfig, SecretConfig } from '../../config/config.ts'
import type { Storage } from '../../model/storage.ts'
import { cached } from '../../storage/cached.ts'
import { openFileStorage, readFileStorage } from '../../storage/files.ts'
import { openRedisStorage } from '../../storage/redis.ts'
import type { RedisServer } from '../../storage/redis-link.ts'
import { remembered } from '../../storage/remembered.ts'
import { parseKeyFile, type Secret } from '../../storage/seal-keys.ts'
import { sealed, unsealed, unsealing } from '../../storage/sealed.ts'
import { accountLock, accountsPrefix } from './account-store.ts'
import { serverTrust } from './server-trust.ts'

/** The part of Redis that is also kept on disk, beside the record of sealing keys: certificates with their keys. */
const copiedPrefixes: readonly string[] = ['certificates/']

/**
 * Opens it without waiting for a Redis that is down: then `get` and `list` use the copy, and everything else throws
 * StorageError `away` until it is back. Both changes are reported to `warn`.
 *
 * Throws UsageError for unreadable files and a wrong secret, StorageError if the state folder or the record of
 * sealing keys is unusable. The caller closes it.
 */
export async function openStorage(config: Config, warn: (text: string) => void): Promise<Storage> {
  const { redis, seal } = config.storage
  const secret = seal && openSecret(seal.secret)
  const previous = seal ? seal.previous.map(openSecret) : []
  const { base, copy } = redis
    ? await openFleet(redis, config.state, warn)
    : { base: await openFileStorage(path.join(config.state, 'storage')), copy: null }
  try {
    const storage = secret ? await sealed(base, secret, previous, { copy }) : await unsealed(base, copy)
    // A person who removes a file means it; a Redis without the value has lost its data.
    return redis ? remembered(storage, { prefix: accountsPrefix, lockOf: accountLock }) : storage
  } catch (error) {
    await base.close()
    throw error
  }
}

/**
 * The files of a configuration, read-only, whether or not a gateway is running. Null for Redis.
 * Throws UsageError and StorageError.
 */
export async function readStorage({ storage, state }: Pick<Config, 'storage' | 'state'>): Promise<Storage | null> {
  const { redis, seal } = storage
  if (redis) return null
  const files = await readFileStorage(path.join(state, 'storage'))
  return seal ? unsealing(files, [seal.secret, ...seal.previous].map(openSecret)) : await unsealed(files)
}

/** `copy` is closed with `base`. */
type Fleet = { readonly base: Storage; readonly copy: Storage }

async function openFleet(redis: RedisConfig, state: string, warn: (text: string) => void): Promise<Fleet> {
  const server = openServer(redis)
  // One folder for each fleet, so that a change of servers does not bring back the data of the old one.
  const folder = `${server.host}-${server.port}-${server.database}-${redis.prefix}`.replace(/[^A-Za-z0-9._-]/g, '_')
  const copy = await openFileStorage(path.join(state, 'storage-copy', folder))
  try {
    const storage = await openRedisStorage({
      server,
      prefix: redis.prefix,
      notice: warn,
      times: { leaseMs: redis.leaseMs },
    })
    return { base: cached(storage, copy, { prefixes: copiedPrefixes, notice: warn }), copy }
  } catch (error) {
    await copy.close()
    throw error
  }
}

function openServer({
  host,
  port,
  database,
  username,
  password,
  tls,
  caFile,
  certificate,
}: RedisConfig): RedisServer {
  const shown = certificate && { chain: textOf(certificate.chainFile), key: textOf(certificate.keyFile) }
  const trust = serverTrust(caFile)
  return { host, port, database, username, password, tls: tls ? { ...trust, certificate: shown } : null }
}

function openSecret(secret: SecretConfig): Secret {
  if ('passphrase' in secret) return secret
  return { key: parseKeyFile(bytesOf(secret.keyFile), secret.keyFile) }
}

function textOf(file: string): string {
  return bytesOf(file).toString('utf8')
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${messageOf(error)}`)
  }
}
