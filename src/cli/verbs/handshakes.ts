/** `sallyport handshakes`: the last failed handshakes of a running gateway, by cause. */
import { askGateway } from '../../admin/control-client.ts'
import type { FailedHandshake } from '../../gateway/handshake-log.ts'
import type { Handshakes } from '../controls.ts'
import type { Verb } from '../verb.ts'
import { stateOf } from './status.ts'

export const handshakes: Verb = {
  name: 'handshakes',
  usage: 'handshakes [-c FILE] [--json]',
  summary: 'why handshakes failed lately, grouped by cause',
  details:
    'Of a running gateway, which is found by the state folder of its configuration; the last 500 of each process.',
  values: ['config'],
  flags: ['json'],
  async run(words) {
    const replies = await askGateway<Handshakes>(await stateOf(words), 'handshakes')
    const last = replies.flatMap(reply => reply.ok?.last ?? []).sort((a, b) => a.at - b.at)
    const total = replies.reduce((sum, reply) => sum + (reply.ok?.total ?? 0), 0)
    const groups = groupsOf(last)
    if (words.options.has('json')) process.stdout.write(`${JSON.stringify({ total, groups, last }, null, 2)}\n`)
    else process.stdout.write(text(groups, total))
    return 0
  },
}

type Group = {
  readonly error: string
  readonly why: string
  count: number
  last: FailedHandshake
  readonly names: Set<string>
  readonly clients: Set<string>
}

/** The most frequent first. */
function groupsOf(list: readonly FailedHandshake[]): Group[] {
  const groups = new Map<string, Group>()
  for (const failed of list) {
    const key = `${failed.error} ${failed.why}`
    const group = groups.get(key) ?? {
      error: failed.error,
      why: failed.why,
      count: 0,
      last: failed,
      names: new Set<string>(),
      clients: new Set<string>(),
    }
    group.count++
    group.last = failed
    group.names.add(failed.sni ?? '(no name)')
    group.clients.add(failed.client)
    groups.set(key, group)
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}

const some = (values: ReadonlySet<string>): string =>
  values.size <= 3 ? [...values].join(', ') : `${[...values].slice(0, 3).join(', ')} and ${values.size - 3} more`

function text(groups: readonly Group[], total: number): string {
  if (groups.length === 0) return 'no handshake has failed\n'
  const blocks = groups.map(({ error, why, count, last, names, clients }) => {
    const offered = Object.entries(last.offered)
      .filter(([, value]) => value !== null && String(value) !== '')
      .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(' ') : value}`)
    const lines = [
      `${String(count).padStart(5)}  ${error}: ${why}`,
      `       names ${some(names)}; clients ${some(clients)}; last ${new Date(last.at).toISOString()}`,
      ...(offered.length > 0 ? [`       offered: ${offered.join('; ')}`] : []),
    ]
    return `${lines.join('\n')}\n`
  })
  return `${blocks.join('\n')}\n${total} in all since the start\n`
}
