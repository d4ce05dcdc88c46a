/** What a passthrough or tcp site does with its connections, from rows to config.ts. */
import type { RouteTimeouts } from '../model/route.ts'
import type { SiteAction } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Node } from './engine/tree.ts'
import { startTlsAlpn } from './schema/layer4.ts'
import type { siteShape } from './schema/site.ts'
import type { Upstreams } from './validate-upstreams.ts'

/**
 * @param node of the option
 * @param base timeouts of the file
 * @returns undefined where something in it was wrong, and reported
 */
export function validateLayer4(
  kind: 'passthrough' | 'tcp',
  { passthrough, tcp }: Pick<Raw<typeof siteShape>, 'passthrough' | 'tcp'>,
  node: Node,
  upstreams: Upstreams,
  base: RouteTimeouts,
): SiteAction | undefined {
  const written = (kind === 'tcp' ? tcp : passthrough) ?? undefined
  const upstream = upstreams.layer4(written, node)
  const { timeouts: own, limits, startTls } = written ?? {}
  const connectionsPerClient = limits?.connectionsPerClient
  if (!upstream || !own || own.lifetimeMs === undefined || connectionsPerClient === undefined) return undefined
  if (startTls === undefined) return undefined
  const timeouts = {
    connectMs: own.connectMs ?? base.connectMs,
    greetingMs: base.responseMs,
    idleMs: own.idleMs ?? base.idleMs,
    lifetimeMs: own.lifetimeMs,
  }
  const layer4 = { upstream, timeouts, connectionsPerClient, startTls }
  if (kind === 'passthrough') return { kind, ...layer4 }
  const names = tcp?.alpn?.filter(name => name !== undefined)
  if (names === undefined) return undefined
  return { kind, ...layer4, alpn: names.length === 0 && startTls !== null ? startTlsAlpn[startTls] : names }
}
