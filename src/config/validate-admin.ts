/** The admin listener, from rows to config.ts. */
import { isIP } from 'node:net'
import type { AcmeServerConfig, AdminConfig, ListenConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf } from './engine/tree.ts'
import type { adminShape } from './schema/admin.ts'

type RawAdmin = Raw<typeof adminShape>

type Address = AdminConfig['listen']

/**
 * @param acme the ACME server of the internal CA, which listens too
 * @returns null: there is none
 */
export function validateAdmin(
  raw: RawAdmin | null | undefined,
  node: Node | undefined,
  listen: readonly ListenConfig[],
  acme: AcmeServerConfig | null,
  problems: Problems,
): AdminConfig | null | undefined {
  if (!node) return null
  const { port, address } = raw?.listen ?? {}
  if (port === undefined || address === undefined || raw?.token === undefined) return undefined
  const own = { port, address }
  const where = childOf(node, 'listen') ?? node
  const at = placeOf(where, 'port')
  if (listen.some(each => overlap(each, own)))
    problems.error(at, `a listener of the gateway already has port ${port}`, 'give metrics a port of their own')
  if (acme !== null && overlap(acme.listen, own))
    problems.error(at, `ca.acme.listen already has port ${port}`, 'give metrics a port of their own')
  const { token } = raw
  if (address !== '::1' && !address.startsWith('127.')) {
    const place = placeOf(where, 'address')
    if (token === null)
      problems.warn(
        place,
        `whoever reaches ${address} reads metrics and the names of certificates: there is no token`,
        'add admin.token, or leave the address out: 127.0.0.1',
      )
    else problems.note(place, 'metrics and the token go over the network in cleartext')
  }
  return { listen: own, token }
}

/** Whether the second to bind would be refused. */
function overlap(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false
  if (a.address === b.address || a.address === '::' || b.address === '::') return true
  const bothFour = isIP(a.address) === 4 && isIP(b.address) === 4
  return bothFour && (a.address === '0.0.0.0' || b.address === '0.0.0.0')
}
