/** `sallyport maintenance`: which sites are in maintenance, and puts one into it or back. */
import { UsageError } from '../../base/errors.ts'
import type { MaintenanceRow } from '../../gateway/gateway.ts'
import { type Command, CommandError } from '../command.ts'
import { fields, oneOf, optional, text } from '../input.ts'

type Input = { readonly set: 'on' | 'off' | undefined; readonly site: string | undefined }

export const maintenance: Command<Input, readonly MaintenanceRow[], readonly MaintenanceRow[]> = {
  name: 'maintenance',
  role: 'operate',
  asks: 'every',
  input: fields({ set: optional(oneOf('on', 'off')), site: optional(text(253)) }),
  run({ gateway }, { set, site }) {
    if (set !== undefined && site !== undefined) gateway.setMaintenance(site, set === 'on')
    else if (set !== undefined || site !== undefined) throw new UsageError('set and site go together')
    return gateway.maintenance()
  },
  /** A site is in maintenance where it is so in any process: they differ for a second at most */
  merge(replies) {
    const failed = replies.find(({ error }) => error !== undefined)
    if (failed !== undefined) throw new CommandError(failed.error ?? '')
    const sites = new Map<string, boolean>()
    for (const { site, on } of replies.flatMap(({ ok }) => ok ?? []))
      sites.set(site, on || sites.get(site) === true)
    return [...sites].map(([site, on]) => ({ site, on }))
  },
  verb: {
    usage: 'maintenance [on SITE | off SITE]',
    summary: 'show which sites are in maintenance, or put one into it or back',
    details:
      'Applies to every process, and survives reloads and restarts. A site goes by any of its hosts, and needs `maintenance` in its configuration.',
    fromWords({ rest: [set, site, more] }) {
      if (set === undefined) return {}
      if ((set !== 'on' && set !== 'off') || site === undefined || more !== undefined)
        throw new UsageError('maintenance takes nothing, or on or off and a site: maintenance on shop.example.com')
      return { set, site }
    },
    show(sites, { set, site }) {
      if (set !== undefined) return { text: `${site}: maintenance ${set}\n` }
      if (sites.length === 0) return { text: 'no site has maintenance in its configuration\n' }
      return { text: sites.map(({ site, on }) => `${site}  ${on ? 'on' : 'off'}\n`).join('') }
    },
  },
}
