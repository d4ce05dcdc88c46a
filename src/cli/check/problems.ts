/** Everything that can be said against a configuration without starting it, each with its place. */
import { messageOf, UsageError } from '../../base/errors.ts'
import { abilities, runtime } from '../../base/runtime.ts'
import { readBundle } from '../../certs/files/bundle.ts'
import { knownRoots } from '../../certs/files/roots.ts'
import type { SiteConfig } from '../../config/config.ts'
import type { Problem, ProblemPlace } from '../../config/engine/problem.ts'
import type { Loaded } from '../../config/load.ts'
import { CertificateWatch } from '../../gateway/certificates/certificate-watch.ts'
import { fromFolder, nameWarnings } from '../../gateway/certificates/certificates.ts'
import { staplingOf } from '../../gateway/certificates/staples.ts'
import { compile } from '../../gateway/compile.ts'
import { Registries } from '../../gateway/registries.ts'
import { reachProblems } from './reach.ts'
import { caProblems, policyProblems } from './refused.ts'
import { routeProblems } from './routes.ts'

/** Warnings and notes of the configuration first, then what its files, keys and policies show. Nothing is said twice. */
export function problemsOf(loaded: Loaded): Problem[] {
  const { config, warnings, place } = loaded
  const found = new Found([...warnings, ...reachProblems(loaded), ...routeProblems(loaded)])
  const policies = policyProblems(loaded)
  // Keys and chains are read in full here, however many there are.
  const isRoot = knownRoots()
  const refused: Problem[] = [...policies.map(({ policy: _, ...problem }) => problem), ...caProblems(loaded)]
  const attempt = (index: number, keys: readonly string[], work: (at: ProblemPlace) => void): void => {
    const at = place('sites', index, ...keys)
    try {
      work(at)
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      refused.push({ severity: 'error', ...at, message: `${config.sites[index]?.name}: ${messageOf(error)}` })
    }
  }
  for (const [index, site] of config.sites.entries())
    attempt(index, ['certificate'], at => checkCertificates(site, isRoot, text => found.warn(at, text)))
  const whole: ProblemPlace = {
    file: config.file === null ? null : place().file,
    line: null,
    column: null,
    path: '',
  }
  const unkept = new Set(policies.map(({ policy }) => policy))
  const registries = new Registries()
  const compiled = (sites: readonly SiteConfig[]) =>
    compile({ ...config, sites }, registries, 0, text => found.warn(whole, text), noCertificate)
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
  if (config.workers !== 1 && !abilities.ticketKeys) {
    const message = `TLS sessions resume within one worker only, on ${runtime.name}`
    found.add({ severity: 'note', ...place('workers'), message })
  }
  for (const problem of refused) found.add(problem)
  return found.all
}

class Found {
  readonly all: Problem[] = []

  constructor(problems: readonly Problem[]) {
    for (const problem of problems) this.add(problem)
  }

  add(problem: Problem): void {
    const same = (other: Problem) => other.message === problem.message && other.path === problem.path
    if (!this.all.some(same)) this.all.push(problem)
  }

  warn(at: ProblemPlace, text: string): void {
    this.add({ severity: 'warning', ...at, message: text.replace(/^warning: /, '') })
  }
}

/** Throws UsageError at the first that cannot be used. */
function checkCertificates(
  { certificate, hosts, staple }: SiteConfig,
  isRoot: ReturnType<typeof knownRoots>,
  warn: (text: string) => void,
): void {
  if (certificate?.kind === 'directory') fromFolder(certificate.folder, hosts, new CertificateWatch(), true, warn)
  if (certificate?.kind !== 'files') return
  for (const pair of certificate.pairs) {
    const { bundle, warnings } = readBundle(pair, { isRoot })
    for (const warning of [...warnings, ...nameWarnings(bundle, hosts)]) warn(warning)
    staplingOf(bundle, staple, warn)
  }
}

function noCertificate({ name }: SiteConfig): never {
  throw new Error(`${name}: no certificate is looked at here`)
}
