/** Whether layer-4 sites can be reached, and listeners for STARTTLS have sites to serve. */
import { beginsWithTls, type ListenConfig, type SiteConfig } from './config.ts'
import type { Problems } from './engine/problem.ts'
import { type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { servedOn } from './listen-address.ts'

/** tcp and passthrough are chosen by server name, which only a ClientHello has. */
export function warnUnreachable(
  sites: readonly { readonly site: SiteConfig; readonly node: Node }[],
  listen: readonly ListenConfig[],
  problems: Problems,
): void {
  for (const { site, node } of sites) {
    const { action } = site
    if (action.kind === 'http') continue
    const startTls = action.kind === 'tcp' ? action.startTls : null
    const own = listen.filter(({ name }) => servedOn(site.listeners, name))
    if (own.some(each => beginsWithTls(each) || (startTls !== null && each.startTls === startTls))) continue
    problems.warn(
      placeOfKey(node, action.kind),
      `this site is never reached: ${action.kind} needs TLS, and ${site.listeners.length === 0 ? 'no listener' : 'none of its listeners'} ends TLS for it`,
    )
  }
}

/** A listener serves the sites that speak its protocol, and nothing else. @param listen as they are written */
export function checkStartTls(
  listen: readonly (Partial<Pick<ListenConfig, 'startTls' | 'name'>> | undefined)[],
  list: Node | undefined,
  sites: readonly SiteConfig[],
  problems: Problems,
): void {
  listen.forEach((one, index) => {
    const { startTls, name = null } = one ?? {}
    if (!startTls || !list) return
    const own = sites.filter(({ listeners }) => servedOn(listeners, name))
    if (own.some(({ action }) => action.kind === 'tcp' && action.startTls === startTls)) return
    problems.error(
      placeOf(list, index, 'startTls'),
      `no site has tcp: { startTls: ${startTls} }, so every client is refused here`,
      `as in sites: [{ host: mail.example.com, certificate: acme, tcp: { to: [10.0.3.5:25], startTls: ${startTls} } }]`,
    )
  })
}
