/** The internal CA, from rows to config.ts. Checks that somebody can get a certificate from it, and not just anybody. */
import type { AcmeServerConfig, CaConfig, ListenConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { acmeServerShape, caShape } from './schema/ca.ts'

const minLifetimeMs = 300_000

export function validateCa(
  raw: Raw<typeof caShape> | null | undefined,
  node: Node | undefined,
  listen: readonly ListenConfig[],
  problems: Problems,
): CaConfig | null | undefined {
  if (!node || raw === null) return null
  if (!raw) return undefined
  const alone = ['chain', 'key'].filter(key => childOf(node, key))
  if (alone.length === 1)
    problems.error(placeOfKey(node, alone[0] as string), 'chain and key belong together', 'give both, or neither')
  const { lifetimeMs, maxLifetimeMs } = raw
  if (lifetimeMs !== undefined && lifetimeMs < minLifetimeMs)
    problems.error(
      placeOf(node, 'lifetime'),
      'lifetime is at least 5m',
      'clients need time to renew, and clocks differ',
    )
  if (lifetimeMs !== undefined && typeof maxLifetimeMs === 'number' && maxLifetimeMs < lifetimeMs)
    problems.error(
      placeOf(node, 'maxLifetime'),
      'maxLifetime is shorter than lifetime',
      'raise it, or leave it out',
    )
  const acmeNode = childOf(node, 'acme')
  const acme = acmeNode ? raw.acme && validateAcme(raw.acme, acmeNode, listen, problems) : null
  if (acmeNode && raw.acme && raw.allow?.length === 0 && (raw.acme.externalAccounts?.size ?? 0) === 0)
    problems.warn(
      placeOfKey(node, 'acme'),
      'anyone who passes a challenge for a name gets a certificate for it, whatever the name',
      'give ca an allow list, as in allow: ["*.internal"], or acme.externalAccounts',
    )
  const read = whole(caShape, raw)
  if (!read || acme === undefined) return undefined
  const { chainFile, keyFile, ...rows } = read
  const own = chainFile && keyFile ? { chainFile, keyFile } : null
  return { ...rows, own, maxLifetimeMs: rows.maxLifetimeMs ?? rows.lifetimeMs, acme }
}

function validateAcme(
  raw: Raw<typeof acmeServerShape>,
  node: Node,
  listen: readonly ListenConfig[],
  problems: Problems,
): AcmeServerConfig | undefined {
  const port = raw.listen?.port
  if (port !== undefined && port !== 0 && listen.some(each => each.port === port))
    problems.error(
      placeOf(node, 'listen', 'port'),
      `a listener of the gateway already has port ${port}`,
      'the ACME server has a port of its own, as in 9443',
    )
  // One whose key is wrong, or not known yet, is no second mistake.
  const some = [...(raw.externalAccounts?.values() ?? [])].some(each => each?.allow?.length !== 0)
  if (raw.challenges?.length === 0 && !some) {
    const hint = 'give challenges: [http-01], or externalAccounts with allow lists'
    problems.error(placeOf(node, 'challenges'), 'no certificate can be issued: there are no challenges', hint)
  }
  const read = whole(acmeServerShape, raw)
  return read && { ...read, networks: read.networks.length === 0 ? null : read.networks }
}
