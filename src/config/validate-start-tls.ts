/** Whether layer-4 sites can be reached, and listeners for STARTTLS have sites to serve. */
import type { ListenConfig, SiteConfig } from './config.ts'
import type { Problems } from './engine/problem.ts'
import { type Node, placeOf, placeOfKey } from './engine/tree.ts'

/** tcp and passthrough are chosen by server name, which only a ClientHello has. No listener begins with TLS. */
export function warnUnreachable(
  sites: readonly { readonly site: SiteConfig; readonly node: Node }[],
  listen: readonly ListenConfig[],
  problems: Problems,
): void {
  for (const { site, node } of sites) {
    const { action } = site
    if (action.kind === 'http') continue
    const startTls = action.kind === 'tcp' ? action.startTls : null
    if (startTls !== null && listen.some(each => each.startTls === startTls)) continue
    problems.warn(
      placeOfKey(node, action.kind),
      `this site is never reached: ${action.kind} needs TLS, and no listener ends TLS for it`,
    )
  }
}

/** A listener serves the sites that speak its protocol, and nothing else. */
export function checkStartTls(
  listen: readonly ListenConfig[],
  list: Node | undefined,
  sites: readonly SiteConfig[],
  problems: Problems,
): void {
  listen.forEach(({ startTls }, index) => {
    if (!startTls || !list) return
    if (sites.some(({ action }) => action.kind === 'tcp' && action.startTls === startTls)) return
    problems.error(
      placeOf(list, index, 'startTls'),
      `no site has tcp: { startTls: ${startTls} }, so every client is refused here`,
      `as in sites: [{ host: mail.example.com, certificate: acme, tcp: { to: [10.0.3.5:25], startTls: ${startTls} } }]`,
    )
  })
}
