/** Which sites the clients of each listener can reach: if no site names a listener, all sites on all listeners. */
import type { Site } from '../model/site.ts'
import type { SiteTable, Snapshot } from '../model/snapshot.ts'
import { Names } from '../route/names.ts'
import type { StartTls } from '../wire/start-tls/dialogs.ts'

/** @param isDefault of its listeners */
export function siteTables(
  sites: readonly Site[],
  isDefault: (site: Site) => boolean,
): SiteTable & Pick<Snapshot, 'sitesOf'> {
  const tableOf = (some: readonly Site[]): SiteTable => {
    const names = new Names<Site>()
    for (const site of some) for (const host of site.hosts) names.add(host, site)
    const defaultSite = some.find(isDefault) ?? null
    return { site: host => names.find(host), defaultSite, startTls: byStartTls(some) }
  }
  const all = tableOf(sites)
  const named = new Set(sites.flatMap(({ listeners }) => listeners))
  if (named.size === 0) return { ...all, sitesOf: () => all }
  const unnamed = tableOf(sites.filter(({ listeners }) => listeners.length === 0))
  const tables = new Map(
    [...named].map(name => [
      name,
      tableOf(sites.filter(({ listeners }) => listeners.length === 0 || listeners.includes(name))),
    ]),
  )
  return { ...all, sitesOf: name => (name === null ? unnamed : (tables.get(name) ?? unnamed)) }
}

function byStartTls(sites: readonly Site[]): Map<StartTls, Site[]> {
  const found = new Map<StartTls, Site[]>()
  for (const site of sites) {
    const startTls = site.action.kind === 'http' ? null : site.action.startTls
    if (startTls === null) continue
    const same = found.get(startTls)
    if (same === undefined) found.set(startTls, [site])
    else same.push(site)
  }
  return found
}
