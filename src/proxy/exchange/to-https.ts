/**
 * The redirect of `cleartext: redirect`. Clients of our own get it from http1/serve-redirect, without an exchange. Those of a
 * trusted proxy get it as an exchange of theirs, since others on the same connection have come to the proxy by https and are
 * served: these would otherwise be redirected to where they came from, for ever.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Route } from '../../model/route.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { Services } from '../seam/services.ts'
import { redirectOrigin } from './origins.ts'

export function httpsLocation(
  host: string | null,
  services: Pick<Services, 'httpsPort'>,
  path: string,
  query: string,
): string | ProxyError {
  if (host === null || host === '') return new ProxyError('BAD_REQUEST', 'no Host to redirect to')
  // The target of OPTIONS * is no path.
  return `https://${host.replace(/:\d*$/, '')}${services.httpsPort(host)}${path === '*' ? '/' : path}${query}`
}

export function toHttps(snapshot: Snapshot, location: string): Route {
  return { ...snapshot.fallback, name: 'redirect to https', origin: redirectOrigin(308, () => location) }
}
