/** Client certificates, from rows to config.ts, and that nobody asks for what cannot be met. */
import type { ClientsConfig, RouteConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { clientsShape } from './schema/clients.ts'

/** Null: none are asked for. */
export function validateClients(
  raw: Raw<typeof clientsShape> | null | undefined,
  node: Node,
  problems: Problems,
): ClientsConfig | null | undefined {
  if (!childOf(node, 'clients')) return null
  if (childOf(node, 'passthrough')) {
    problems.error(
      placeOfKey(node, 'clients'),
      'a passthrough site is never decrypted, and sees no client certificate',
      'the backend can request one; to request it here, use to, routes or tcp instead of passthrough',
    )
    return undefined
  }
  if (raw?.verify !== 'off' && raw?.weak === 'allow')
    problems.warn(
      placeOf(node, 'clients', 'weak'),
      'weak: allow: certificates with short keys or with SHA-1 or MD5 signatures can be forged',
      'have them issued again, with SHA-256 and RSA of 2048 bits or ECDSA',
    )
  const clients = whole(clientsShape, raw ?? undefined)
  if (!clients) return undefined
  const { verify, ...rows } = clients
  return verify === 'off' ? null : { ...rows, mode: verify }
}

/** On a route that only clients with a certificate are sent to. */
export function warnUseless(route: Node, problems: Problems): void {
  problems.warn(
    placeOfKey(route, 'clients'),
    'clients: require has no effect together with match.client: a client that does not match is not refused, but falls through to the next route',
    'remove it, and add a route after this one for the other clients, as in { match: { path: ... }, respond: { status: 403 } }',
  )
}

/** A condition that nobody can meet is a mistake, and where it is about who may come in, a dangerous one. */
export function checkNoClients(routes: readonly RouteConfig[], problems: Problems, node: Node): void {
  for (const route of routes) {
    if (!route.requireClient && route.match.clients.length === 0) continue
    problems.error(
      node.at,
      `the route ${route.name} asks for client certificates, and the site does not`,
      'give the site clients: { ca: FILE, verify: optional }',
    )
  }
}
