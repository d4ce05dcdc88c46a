/** Which managed certificate is used for which name, for a site whose certificates a Renewer maintains. */
import type { SiteConfig } from '../../config/config.ts'

export type KeptNames = {
  /** Always maintained: as spelled in storage, without brackets */
  readonly names: readonly string[]
  /** The maintained name for what a client requests; null for one that could be ordered on demand */
  of(serverName: string): string | null
}

/**
 * @param onDemand names that are not hosts, or that are below a wildcard host, may be ordered when they are requested
 * @param wildcards wildcard hosts can be validated, and are maintained as they are
 */
export function keptNames(site: SiteConfig, onDemand: boolean, wildcards: boolean): KeptNames {
  const hosts = site.hosts.map(host => host.replace(/^\[|\]$/g, ''))
  const names = onDemand && !wildcards ? hosts.filter(host => !host.startsWith('*.')) : hosts
  const known = new Set(names)
  // The default site's clients may ask for any name, or for none.
  const fallback = onDemand ? null : (hosts[0] as string)
  return {
    names,
    of(serverName) {
      if (known.has(serverName)) return serverName
      const wildcard = `*${serverName.slice(serverName.indexOf('.'))}`
      if (known.has(wildcard)) return wildcard
      return serverName === '' ? (names[0] ?? fallback) : fallback
    },
  }
}

/**
 * Names that were ordered on demand, by the site that serves them: the one with the host, the one
 * with the wildcard above it, or the default one. Sorted again only when `names` returns another list.
 */
export function seenNames(
  sites: readonly SiteConfig[],
  names: () => readonly string[],
): (site: string) => readonly string[] {
  const byHost = new Map(sites.flatMap(site => site.hosts.map(host => [host, site.name] as const)))
  const fallback = sites.find(site => site.default)?.name
  let sorted: readonly string[] | null = null
  let bySite = new Map<string, string[]>()
  return site => {
    const now = names()
    if (now !== sorted) {
      bySite = new Map()
      for (const name of now) {
        const own = byHost.get(name) ?? byHost.get(`*${name.slice(name.indexOf('.'))}`) ?? fallback
        if (own === undefined) continue
        const others = bySite.get(own)
        if (others === undefined) bySite.set(own, [name])
        else others.push(name)
      }
      sorted = now
    }
    return bySite.get(site) ?? []
  }
}
