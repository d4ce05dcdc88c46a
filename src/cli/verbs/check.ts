/** `sallyport check`: every mistake of a configuration at once. */
import { messageOf, UsageError } from '../../base/errors.ts'
import { abilities, runtime } from '../../base/runtime.ts'
import { readBundle } from '../../certs/files/bundle.ts'
import { type IsRoot, knownRoots } from '../../certs/files/roots.ts'
import type { SiteConfig } from '../../config/config.ts'
import { loadConfig } from '../../config/load.ts'
import { formatProblem } from '../../config/problem.ts'
import { CertificateWatch } from '../../gateway/certificates/certificate-watch.ts'
import { fromFolder, nameWarnings } from '../../gateway/certificates/certificates.ts'
import { staplingOf } from '../../gateway/certificates/staples.ts'
import { compile } from '../../gateway/compile.ts'
import { Registries } from '../../gateway/registries.ts'
import type { Verb } from '../verb.ts'

/** Throws UsageError at the first that cannot be used. */
function checkCertificates(
  { certificate, hosts, staple }: SiteConfig,
  isRoot: IsRoot,
  warn: (text: string) => void,
): void {
  if (certificate?.kind === 'directory') fromFolder(certificate.folder, hosts, new CertificateWatch(), true, warn)
  if (certificate?.kind !== 'files') return
  for (const pair of certificate.pairs) {
    const { bundle, warnings } = readBundle(pair, { isRoot })
    for (const warning of [...warnings, ...nameWarnings(bundle, hosts)]) warn(warning)
    staplingOf(bundle, staple, warning => warn(`warning: ${warning}`))
  }
}

export const check: Verb = {
  name: 'check',
  usage: 'check [-c FILE]',
  summary: 'read the configuration and say everything that is wrong with it',
  details: 'One line each: FILE:LINE:COLUMN: message. Exit code 2 if there is an error; warnings do not count.',
  values: ['config'],
  flags: [],
  async run(words) {
    const file = words.options.get('config') ?? words.rest[0]
    const { config, warnings } = await loadConfig(file === undefined ? {} : { file })
    for (const problem of warnings) process.stderr.write(`${formatProblem(problem)}\n`)
    // Keys and chains are read in full here, however many there are.
    let failed = false
    const isRoot = knownRoots()
    const said = new Set<string>()
    const warn = (text: string): void => {
      if (!said.has(text)) process.stderr.write(`${text}\n`)
      said.add(text)
    }
    for (const site of config.sites) {
      try {
        checkCertificates(site, isRoot, warn)
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        failed = true
        process.stderr.write(`${site.name}: ${messageOf(error)}\n`)
      }
    }
    if (failed) return 2
    if (config.workers !== 1 && !abilities.ticketKeys)
      process.stderr.write(`note: TLS sessions resume within one worker only, on ${runtime.name}\n`)
    const without = config.sites.map(site => ({ ...site, certificate: null }))
    compile(
      { ...config, sites: without.filter(site => site.action.kind !== 'tcp') },
      new Registries(),
      0,
      text => void process.stderr.write(`warning: ${text}\n`),
      site => {
        throw new Error(`${site.name}: no certificate is looked at here`)
      },
    )
    const sites = `${config.sites.length} ${config.sites.length === 1 ? 'site' : 'sites'}`
    const ports = config.listen.map(listen => listen.port).join(', ')
    process.stdout.write(`ok: ${sites}, listening on ${ports}\n`)
    return 0
  },
}
