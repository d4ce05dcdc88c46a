/** `sallyport policies`: the TLS policies, as tables. */
import { messageOf, UsageError } from '../../base/errors.ts'
import { nearest } from '../../config/engine/nearest.ts'
import { loadConfig } from '../../config/load.ts'
import { policies as named, type Policy, versionRange } from '../../model/policies.ts'
import { offerOf } from '../../tls/offer.ts'
import { print } from '../print.ts'
import type { Verb } from '../verb.ts'

export const policies: Verb = {
  name: 'policies',
  usage: 'policies [NAME] [-c FILE] [--json]',
  summary: 'the TLS policies: versions, ciphers and groups, with their sources',
  details:
    'With a name, shows that policy in full, and what this runtime cannot offer of it. -c FILE adds the policies of a configuration.',
  values: ['config'],
  flags: ['json'],
  async run(words) {
    const name = words.rest[0]
    const file = words.options.get('config')
    const all = file === undefined ? named : (await loadConfig({ file })).config.policies
    if (name !== undefined && !Object.hasOwn(all, name)) {
      const close = nearest(name, Object.keys(all))
      const own = file === undefined ? '; for one of your own add -c FILE' : ''
      throw new UsageError(`there is no policy ${name}${close === null ? own : `; did you mean ${close}?`}`)
    }
    const chosen = name === undefined ? Object.values(all) : [all[name] as Policy]
    if (words.options.has('json')) print(`${JSON.stringify(name === undefined ? chosen : chosen[0], null, 2)}\n`)
    else print(name === undefined ? overview(chosen) : whole(chosen[0] as Policy))
    return 0
  },
}

function overview(all: readonly Policy[]): string {
  const width = Math.max(...all.map(policy => policy.name.length))
  const lines = all.map(policy => {
    const count = `${policy.ciphers.length + policy.suites.length}`.padStart(3)
    return `${policy.name.padEnd(width)}  ${versionRange(policy).padEnd(9)}  ${count} ciphers  ${policy.groups.join(', ')}`
  })
  return `${'policy'.padEnd(width)}  TLS\n${lines.join('\n')}\n\nsallyport policies NAME shows one in full.\n`
}

function whole(policy: Policy): string {
  const rows: [string, readonly string[]][] = [
    ['policy', [policy.name]],
    ['source', [policy.source]],
    ['TLS', [versionRange(policy)]],
    ['TLS 1.3', policy.suites],
    ['older TLS', policy.ciphers],
    ['groups', policy.groups],
    ['order', [policy.order === 'server' ? "the server's" : "the client's"]],
    ['here', here(policy)],
  ]
  return rows
    .filter(([, values]) => values.length > 0)
    .map(([title, values]) => `${title.padEnd(10)} ${values.join(`\n${' '.repeat(11)}`)}\n`)
    .join('')
}

/** What the runtime that runs this has to say about it. */
function here(policy: Policy): string[] {
  try {
    const { warnings } = offerOf(policy)
    return warnings.length > 0 ? [...warnings] : ['all of it can be offered']
  } catch (error) {
    return [messageOf(error)]
  }
}
