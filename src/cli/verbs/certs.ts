/** `sallyport certs`: the certificates of a configuration, and how to trust the local CA. */
import { UsageError } from '../../base/errors.ts'
import { readBundle } from '../../certs/bundle.ts'
import { certificateRows, certificateTable } from '../../certs/list.ts'
import { openLocalCa } from '../../certs/local-ca.ts'
import { trustText } from '../../certs/trust.ts'
import { loadConfig } from '../../config/load.ts'
import type { Bundle } from '../../model/certificate.ts'
import type { Verb } from '../verb.ts'

export const certs: Verb = {
  name: 'certs',
  usage: 'certs [list] [-c FILE] [--json]',
  summary: 'list the certificates, and how to trust the local CA',
  details: 'list: names, source, key, issuer and days left, the soonest to end first.',
  values: ['config'],
  flags: ['json'],
  async run(words) {
    const what = words.rest[0] ?? 'trust'
    if (what !== 'list' && what !== 'trust') throw new UsageError(`certs has list, not '${what}'`)
    const file = words.options.get('config')
    const { config } = await loadConfig(file === undefined ? {} : { file })
    const local = config.sites.some(site => site.certificate?.kind === 'local')
    const bundles: Bundle[] = []
    for (const site of config.sites) {
      if (site.certificate?.kind !== 'files') continue
      for (const pair of site.certificate.pairs) bundles.push(readBundle(pair).bundle)
    }
    const ca = local ? openLocalCa(config.state) : null
    if (words.options.has('json')) {
      const rows = certificateRows(bundles, Date.now()).map(row => ({
        ...row,
        notAfter: new Date(row.notAfter).toISOString(),
      }))
      process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
      return 0
    }
    if (bundles.length > 0 || what === 'list')
      process.stdout.write(certificateTable(certificateRows(bundles, Date.now())))
    if (ca === null) return 0
    const sites = config.sites.filter(site => site.certificate?.kind === 'local').map(site => site.hosts.join(' '))
    process.stdout.write(
      `${bundles.length > 0 || what === 'list' ? '\n' : ''}from the local CA, as they are asked for: ${sites.join(', ')}\n`,
    )
    if (ca.file !== null && what === 'trust') process.stdout.write(`\n${trustText({ ...ca, file: ca.file })}`)
    for (const warning of ca.warnings) process.stderr.write(`${warning}\n`)
    return 0
  },
}
