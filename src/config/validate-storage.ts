/** Storage, from rows to config.ts: options that fit together, and no secret on the wire by accident. */
import type { SealConfig, SecretConfig, StorageConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { isLoopback } from './listen-address.ts'
import { type secretShape, storageShape } from './schema/storage.ts'

const onlyRedis = ['ca', 'certificate', 'prefix', 'username', 'password', 'lease']
const onlyTls = ['ca', 'certificate']
const leastLeaseMs = 1_000

/** @param node the whole configuration */
export function validateStorage(
  raw: Raw<typeof storageShape> | null | undefined,
  node: Node,
  problems: Problems,
): StorageConfig {
  const files: StorageConfig = { redis: null, seal: null }
  const storage = childOf(node, 'storage')
  if (!raw || !storage) return files
  const seal = validateSeal(raw.seal, childOf(storage, 'seal'), problems)
  const url = raw.redis
  const refuse = (keys: readonly string[], message: string, hint: string) => {
    for (const key of keys)
      if (childOf(storage, key)) problems.error(placeOfKey(storage, key), `${key} ${message}`, hint)
  }
  if (!childOf(storage, 'redis'))
    refuse(onlyRedis, 'is for Redis, and there is none', 'add redis: rediss://HOST:PORT, or remove it')
  if (!url) return { redis: null, seal }
  if (!url.tls) refuse(onlyTls, 'is for TLS, and redis:// is without', 'write rediss://')
  if (url.username !== null) refuse(['username'], 'is in the URL as well', 'write it once')
  if (url.password !== null) refuse(['password'], 'is in the URL as well', 'write it once, best here')
  if (!url.tls && !isLoopback(url.host))
    problems.warn(
      placeOf(storage, 'redis'),
      'redis:// sends the password, and private keys unless they are sealed, in cleartext over the network',
      'write rediss://, with TLS on the server',
    )
  if (raw.leaseMs !== undefined && raw.leaseMs < leastLeaseMs)
    problems.error(placeOf(storage, 'lease'), 'lease is too short to be renewed in time', 'at least 1s')
  const read = whole(storageShape, raw)
  if (!read) return { redis: null, seal }
  const { redis: _, seal: __, ...rows } = read
  const [username, password] = [url.username ?? rows.username, url.password ?? rows.password]
  return { redis: { ...rows, ...url, username, password }, seal }
}

function validateSeal(
  raw: Raw<typeof storageShape>['seal'],
  node: Node | undefined,
  problems: Problems,
): SealConfig | null {
  if (!raw || !node) return null
  const secret = oneSecret(raw, node, problems)
  const list = childOf(node, 'previous')
  const previous = (raw.previous ?? []).flatMap((each, index) => {
    const at = list?.kind === 'list' ? list.items[index] : list
    const found = each && at && oneSecret(each, at, problems)
    return found ? [found] : []
  })
  return secret && { secret, previous }
}

function oneSecret(raw: Raw<typeof secretShape>, node: Node, problems: Problems): SecretConfig | null {
  const [passphrase, keyFile] = [childOf(node, 'passphrase'), childOf(node, 'keyFile')]
  if (passphrase && keyFile)
    problems.error(placeOfKey(node, 'keyFile'), 'a seal has a passphrase or a key file, not both', 'remove one')
  else if (!passphrase && !keyFile)
    problems.error(node.at, 'a seal needs a passphrase or a keyFile', 'as in keyFile: seal.key')
  else if (raw.passphrase) return { passphrase: raw.passphrase }
  else if (raw.keyFileFile) return { keyFile: raw.keyFileFile }
  return null
}
