/** Who must show a certificate, and which: in words, for `explain`. */
import type { ClientsConfig, RouteConfig } from '../../config/config.ts'
import type { ClientMatch } from '../../model/client-identity.ts'

/** What the handshake of a site asks of clients. */
export function handshakeText(clients: ClientsConfig): string {
  const { mode, ca, crl, allow } = clients
  const shown = [
    `one signed by ${ca.join(' or ')}`,
    ...(crl.length > 0 ? [`not revoked by ${crl.join(', ')}`] : []),
    ...(allow.length > 0 ? [`on the list of clients.allow: ${matchText(allow)}`] : []),
  ].join(', ')
  return mode === 'require'
    ? `a certificate is required, ${shown}; without it the handshake fails (CLIENT_CERTIFICATE)`
    : `a certificate may be shown, ${shown}`
}

export const matchText = (matches: readonly ClientMatch[]): string =>
  matches
    .map(({ san, dn, spiffe, issuer }) =>
      Object.entries({ san, dn, spiffe, issuer })
        .flatMap(([name, value]) => (value === null ? [] : [`${name} ${value}`]))
        .join(' and '),
    )
    .join(', or ')

/** What a route asks of a client that the handshake let in; null: nothing. */
export function requiredText(route: RouteConfig, clients: ClientsConfig | null): string | null {
  if (!route.requireClient || clients === null || clients.mode === 'require') return null
  return `the route requires a certificate signed by ${clients.ca.join(' or ')}; without one the answer is ${refusal}`
}

export const refusal = '403 (CLIENT_CERTIFICATE)'
