/**
 * What a valid configuration cannot be run with, here: a policy that this runtime's TLS library cannot keep, and an internal CA
 * that may not give its own server a name. Found before a gateway is started, so that it is said with its place in the file,
 * by `check` and by `run` and its reloads alike. Opens nothing for writing.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { messageOf, UsageError } from '../../base/errors.ts'
import { internalCaFolder, openInternalCa } from '../../certs/ca/internal-ca.ts'
import { constraintsText, permits } from '../../certs/x509/name-constraints.ts'
import { ConfigError, type Problem } from '../../config/engine/problem.ts'
import type { Loaded } from '../../config/load.ts'
import type { Policy } from '../../model/policies.ts'
import { offerOf } from '../../tls/offer.ts'

/** @throws ConfigError with all of them */
export function refuseWhatCannotRun(loaded: Loaded): void {
  const found = [...policyProblems(loaded), ...caProblems(loaded)].filter(({ severity }) => severity === 'error')
  if (found.length > 0) throw new ConfigError(found)
}

/** One for each policy that cannot be kept, where it is chosen first. */
export function policyProblems({ config, place }: Loaded): (Problem & { readonly policy: string })[] {
  const sites = new Map<string, { index: number; names: string[] }>()
  config.sites.forEach(({ policy, name, action }, index) => {
    if (action.kind === 'passthrough') return
    const known = sites.get(policy)
    if (known === undefined) sites.set(policy, { index, names: [name] })
    else known.names.push(name)
  })
  return [...sites].flatMap(([policy, { index, names }]) => {
    try {
      offerOf(config.policies[policy] as Policy)
      return []
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      const own = place('sites', index, 'policy')
      // A site that names none has that of the configuration.
      const at = own.path.endsWith('.policy') ? own : place('policy')
      const others = names.length > 3 ? ` and ${names.length - 3} more sites` : ''
      const message = `${messageOf(error)} (of ${names.slice(0, 3).join(', ')}${others})`
      return [{ severity: 'error' as const, ...at, message, policy }]
    }
  })
}

export function caProblems({ config, place }: Loaded): Problem[] {
  const { ca, state } = config
  if (ca === null || ca.acme === null) return []
  if (ca.own === null && !existsSync(path.join(internalCaFolder(state), 'intermediate.pem'))) {
    const message = `there is no internal CA in ${internalCaFolder(state)} yet, and the gateway does not start without`
    return [{ severity: 'warning', ...place('ca', 'acme'), message, hint: 'make one with: sallyport ca init' }]
  }
  try {
    const { constraints, warnings } = openInternalCa(state, ca.own)
    const found = warnings.map((message): Problem => ({ severity: 'warning', ...place('ca'), message }))
    const { host } = ca.acme
    if (constraints.every(each => permits(each, host))) return found
    const allowed = constraints.map(constraintsText).filter(text => text !== null)
    const message = `the CA may not give ${host}: its certificate is limited to ${allowed.join('; and to ') || 'other names'}`
    const hint =
      'its ACME server has a certificate of the CA itself; name it in here, or make the CA with other --names'
    return [
      ...found,
      { severity: 'error', ...place('ca', 'acme', 'host'), message: `ca.acme.host: ${message}`, hint },
    ]
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return [{ severity: 'error', ...place('ca'), message: messageOf(error) }]
  }
}
