/** The admin listener, from rows to config.ts. */
import type { AcmeServerConfig, AdminConfig, ListenConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { isLoopback, overlap } from './listen-address.ts'
import { adminShape } from './schema/admin.ts'

/**
 * @param acme the ACME server of the internal CA, which listens too
 * @returns null: there is none
 */
export function validateAdmin(
  raw: Raw<typeof adminShape> | null | undefined,
  node: Node | undefined,
  listen: readonly ListenConfig[],
  acme: AcmeServerConfig | null,
  problems: Problems,
): AdminConfig | null | undefined {
  if (!node) return null
  const admin = whole(adminShape, raw ?? undefined)
  if (!admin) return undefined
  const { listen: own, token } = admin
  const where = childOf(node, 'listen') ?? node
  const at = placeOf(where, 'port')
  if (listen.some(each => overlap(each, own)))
    problems.error(at, `a listener of the gateway already has port ${own.port}`, 'give metrics a port of their own')
  if (acme !== null && overlap(acme.listen, own))
    problems.error(at, `ca.acme.listen already has port ${own.port}`, 'give metrics a port of their own')
  if (!isLoopback(own.address)) {
    const place = placeOf(where, 'address')
    if (token === null)
      problems.warn(
        place,
        `anyone who can reach ${own.address} can read metrics and certificate names: there is no token`,
        'add admin.token, or leave the address out: 127.0.0.1',
      )
    else problems.note(place, 'metrics and the token go over the network in cleartext')
  }
  return admin
}
