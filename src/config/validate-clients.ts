/** Client certificates, from rows to config.ts, and that nobody asks for what cannot be met. */
import type { ClientMatch } from '../model/client-identity.ts'
import type { ClientsConfig, RouteConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import type { clientMatchShape, clientsShape } from './schema/clients.ts'

type RawClients = Raw<typeof clientsShape>

type RawClientMatch = Raw<typeof clientMatchShape>

/** Null: none are asked for. */
export function validateClients(
  clients: RawClients | null | undefined,
  node: Node,
  problems: Problems,
): ClientsConfig | null | undefined {
  if (!childOf(node, 'clients')) return null
  if (childOf(node, 'passthrough')) {
    problems.error(
      placeOfKey(node, 'clients'),
      'a passthrough site is never decrypted, and sees no client certificate',
      'the backend asks for it; to ask here, use to, routes or tcp instead of passthrough',
    )
    return undefined
  }
  if (!clients?.ca || clients.verify === undefined || !clients.crl || !clients.forward || !clients.allow)
    return undefined
  if (clients.weak === undefined) return undefined
  if (clients.verify === 'off') return null
  if (clients.weak === 'allow')
    problems.warn(
      placeOf(node, 'clients', 'weak'),
      'weak: allow: certificates with short keys or with SHA-1 or MD5 signatures can be forged',
      'have them issued again, with SHA-256 and RSA of 2048 bits or ECDSA',
    )
  return {
    mode: clients.verify,
    ca: clients.ca,
    crl: clients.crl,
    forward: clients.forward,
    allow: clientMatches(clients.allow),
    weak: clients.weak,
  }
}

export function clientMatches(raw: readonly (RawClientMatch | undefined)[]): ClientMatch[] {
  return raw
    .filter(match => match !== undefined)
    .map(({ san, dn, spiffe, issuer }) => ({
      san: san ?? null,
      dn: dn ?? null,
      spiffe: spiffe ?? null,
      issuer: issuer ?? null,
    }))
}

/** On a route that only clients with a certificate are sent to. */
export function warnUseless(route: Node, problems: Problems): void {
  problems.warn(
    placeOfKey(route, 'clients'),
    'clients: require has no effect beside match.client: whoever does not match is not refused, but goes to the next route',
    'remove it, and say in a route behind this one what becomes of the others, as in { match: { path: ... }, respond: { status: 403 } }',
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
