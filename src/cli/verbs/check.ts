/** `sallyport check`: every mistake of a configuration at once. */
import { messageOf, UsageError } from '../../base/errors.ts'
import { abilities, runtime } from '../../base/runtime.ts'
import { readBundle } from '../../certs/files/bundle.ts'
import { type IsRoot, knownRoots } from '../../certs/files/roots.ts'
import type { SiteConfig } from '../../config/config.ts'
import { loadConfig } from '../../config/load.ts'
import { formatProblem, type Problem } from '../../config/problem.ts'
import { CertificateWatch } from '../../gateway/certificates/certificate-watch.ts'
import { fromFolder, nameWarnings } from '../../gateway/certificates/certificates.ts'
import { staplingOf } from '../../gateway/certificates/staples.ts'
import { compile } from '../../gateway/compile.ts'
import { Registries } from '../../gateway/registries.ts'
import { caProblems, policyProblems } from '../check/refused.ts'
import { routeProblems } from '../check/routes.ts'
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

function noCertificate({ name }: SiteConfig): never {
  throw new Error(`${name}: no certificate is looked at here`)
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
    const loaded = await loadConfig(file === undefined ? {} : { file })
    const { config, warnings, place } = loaded
    const said = new Set<string>()
    const warn = (text: string): void => {
      if (!said.has(text)) process.stderr.write(`${text}\n`)
      said.add(text)
    }
    for (const problem of [...warnings, ...routeProblems(loaded)]) warn(formatProblem(problem))
    const policies = policyProblems(loaded)
    const found: Problem[] = [...policies, ...caProblems(loaded)]
    const attempt = (index: number, keys: readonly string[], work: () => void): void => {
      try {
        work()
      } catch (error) {
        if (!(error instanceof UsageError)) throw error
        const message = `${config.sites[index]?.name}: ${messageOf(error)}`
        found.push({ severity: 'error', ...place('sites', index, ...keys), message })
      }
    }
    // Keys and chains are read in full here, however many there are.
    const isRoot = knownRoots()
    for (const [index, site] of config.sites.entries())
      attempt(index, ['certificate'], () => checkCertificates(site, isRoot, warn))
    const unkept = new Set(policies.map(({ policy }) => policy))
    const registries = new Registries()
    const compiled = (sites: readonly SiteConfig[]) =>
      compile({ ...config, sites }, registries, 0, text => warn(`warning: ${text}`), noCertificate)
    // Of what has been said already nothing is said again.
    const rest = config.sites.map(site => ({ ...site, certificate: null }))
    const kept = rest.filter(({ policy, action }) => action.kind === 'passthrough' || !unkept.has(policy))
    try {
      compiled(kept)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      // The first mistake ends it, so that the others are found one site at a time.
      for (const [index, site] of rest.entries())
        if (kept.includes(site)) attempt(index, [], () => void compiled([site]))
    }
    for (const problem of found) warn(formatProblem(problem))
    if (found.some(({ severity }) => severity === 'error')) return 2
    if (config.workers !== 1 && !abilities.ticketKeys)
      process.stderr.write(`note: TLS sessions resume within one worker only, on ${runtime.name}\n`)
    const sites = `${config.sites.length} ${config.sites.length === 1 ? 'site' : 'sites'}`
    const ports = config.listen.map(listen => listen.port).join(', ')
    process.stdout.write(`ok: ${sites}, listening on ${ports}\n`)
    return 0
  },
}
