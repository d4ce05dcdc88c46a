/** `sallyport certs`: the certificates that are in force, one of them in full, and how to trust the local CA. */
import { UsageError } from '../../base/errors.ts'
import { openLocalCa } from '../../certs/ca/local-ca.ts'
import { trustText } from '../../certs/ca/trust.ts'
import { certificateTable } from '../../certs/files/list.ts'
import type { Config } from '../../config/config.ts'
import type { Words } from '../argv.ts'
import { inspectChain, inspectText } from '../certs/inspect.ts'
import { findCertificates, findChains } from '../certs/listed.ts'
import { renew, revoke, rollOver } from '../certs/order.ts'
import { configHere } from '../config-here.ts'
import { gatewayOf, gatewayUsage, gatewayValues } from '../control-verb.ts'
import { print, printError } from '../print.ts'
import type { Verb } from '../verb.ts'

export const certs: Verb = {
  name: 'certs',
  usage: `certs [list | inspect HOST | renew HOST | revoke HOST [--reason R] | roll-over] ${gatewayUsage}`,
  summary: 'list, inspect, renew and revoke certificates, and how to trust the local CA',
  details:
    'list: names, sites, source, key, issuer, days left and state, the first to expire on top; from the running gateway or, if ' +
    'none is running, from the files of its configuration. inspect: the whole chain of a host. renew: the running gateway orders ' +
    'another certificate now. revoke: the same, and then the issuer revokes the previous one (--reason keyCompromise and so on). ' +
    'roll-over: new keys for the ACME accounts.',
  values: [...gatewayValues, 'reason'],
  flags: ['json'],
  async run(words) {
    const [what = 'trust', host] = words.rest
    const config = await configHere(words.options.get('config'))
    if (what === 'inspect') return await inspect(config, host, words)
    if (what === 'renew') return await renew(config.state, host, words)
    if (what === 'revoke') return await revoke(config.state, host, words)
    if (what === 'roll-over') return await rollOver(config.state, words)
    if (what === 'list' || what === 'trust') return await list(config, what === 'trust', words)
    throw new UsageError(`certs has list, inspect, renew, revoke and roll-over, not '${what}'`)
  },
}

async function list(config: Config, trust: boolean, words: Words): Promise<number> {
  const { running, found } = await findCertificates(config, gatewayOf(words))
  if (words.options.has('json')) {
    const rows = found.map(row => ({ ...row, notBefore: isoOf(row.notBefore), notAfter: isoOf(row.notAfter) }))
    print(`${JSON.stringify(rows, null, 2)}\n`)
    return 0
  }
  if (!running && found.length > 0) printError('no gateway is running here: this is what its files hold\n')
  const shown = found.length > 0 || !trust
  if (shown) print(certificateTable(found))
  const local = config.sites.filter(site => site.certificate?.kind === 'local')
  if (local.length === 0) return 0
  const ca = openLocalCa(config.state)
  const sites = local.map(site => site.hosts.join(' ')).join(', ')
  print(`${shown ? '\n' : ''}from the local CA, as they are asked for: ${sites}\n`)
  if (ca.file !== null && trust) print(`\n${trustText({ ...ca, file: ca.file })}`)
  for (const warning of ca.warnings) printError(`${warning}\n`)
  return 0
}

const isoOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

async function inspect(config: Config, host: string | undefined, words: Words): Promise<number> {
  if (host === undefined)
    throw new UsageError('certs inspect takes a host: sallyport certs inspect shop.example.com')
  const name = host.toLowerCase().replace(/\.$/, '')
  const { found } = await findChains(config, name, gatewayOf(words))
  if (found.length === 0)
    throw new UsageError(`${name} has no certificate here that can be inspected without a client`)
  const now = Date.now()
  const chains = found.map(({ chainPem, source }) => ({ source, chain: inspectChain(chainPem, source, now) }))
  if (words.options.has('json')) print(`${JSON.stringify(chains, null, 2)}\n`)
  else print(chains.map(({ chain, source }) => inspectText(chain, source, now)).join('\n'))
  return 0
}
