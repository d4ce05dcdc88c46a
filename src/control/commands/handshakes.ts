/** `sallyport handshakes`: the last failed handshakes of a running gateway, by cause. */
import { visible } from '../../base/visible.ts'
import type { KeptHandshake } from '../../observe/handshake-log.ts'
import { type Command, onlyAnswer } from '../command.ts'
import { nothing } from '../input.ts'

type Part = { readonly total: number; readonly last: readonly KeptHandshake[] }

type Output = Part & { readonly groups: readonly HandshakeGroup[] }

export const handshakes: Command<null, Part, Output> = {
  name: 'handshakes',
  role: 'view',
  asks: 'every',
  input: nothing,
  run: ({ gateway }) => ({
    total: gateway.observation.handshakes.total,
    last: gateway.observation.handshakes.list(),
  }),
  merge(replies) {
    if (replies.every(({ error }) => error !== undefined)) onlyAnswer(replies)
    const last = replies.flatMap(({ ok }) => ok?.last ?? []).sort((a, b) => a.at - b.at)
    return {
      total: replies.reduce((sum, { ok }) => sum + (ok?.total ?? 0), 0),
      groups: handshakeGroups(last),
      last,
    }
  },
  verb: {
    usage: 'handshakes',
    summary: 'why recent handshakes failed, grouped by cause',
    details:
      'The last 500 failures of each process of a running gateway, which is found by the state folder of its configuration.',
    show: ({ groups, total }) => ({ text: handshakesText(groups, total) }),
  },
}

type Counted = { readonly name: string; readonly count: number }

/** Failures of one cause. Both lists have the most frequent first, and the first twenty of them. */
type HandshakeGroup = {
  readonly error: string
  readonly why: string
  readonly count: number
  readonly alert: string | null
  readonly alertFrom: 'gateway' | 'client' | null
  /** Asked for by the clients; null stands for none */
  readonly names: readonly Counted[]
  readonly namesInAll: number
  readonly clients: readonly Counted[]
  readonly clientsInAll: number
  readonly last: KeptHandshake
}

const listedAtMost = 20

/** The most frequent first. @param list the oldest first */
export function handshakeGroups(list: readonly KeptHandshake[]): HandshakeGroup[] {
  const groups = new Map<string, KeptHandshake[]>()
  for (const failed of list) {
    const key = `${failed.error} ${failed.alert} ${failed.alertFrom} ${failed.why}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [failed])
    else group.push(failed)
  }
  return [...groups.values()].map(groupOf).sort((a, b) => b.count - a.count)
}

function groupOf(members: readonly KeptHandshake[]): HandshakeGroup {
  const last = members.at(-1) as KeptHandshake
  const { error, why, alert, alertFrom } = last
  const names = counted(members.map(({ sni }) => sni ?? '(no name)'))
  const clients = counted(members.map(({ client }) => client))
  return {
    error,
    why,
    count: members.length,
    alert,
    alertFrom,
    names: names.slice(0, listedAtMost),
    namesInAll: names.length,
    clients: clients.slice(0, listedAtMost),
    clientsInAll: clients.length,
    last,
  }
}

function counted(values: readonly string[]): Counted[] {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count)
}

/** For people: wrapped, and without what a client could do to a terminal. */
export function handshakesText(groups: readonly HandshakeGroup[], total: number): string {
  if (groups.length === 0) return 'no handshake has failed\n'
  return `${groups.map(blockOf).join('\n')}\n${total} in all since the start\n`
}

function blockOf({ error, why, count, alert, alertFrom, last, ...group }: HandshakeGroup): string {
  const ended = alert === null ? 'none' : `${alert}, sent by the ${alertFrom}`
  const rows: [label: string, words: readonly string[]][] = [
    ['names', shortened(group.names, group.namesInAll)],
    ['clients', shortened(group.clients, group.clientsInAll)],
    ['last', [new Date(last.at).toISOString()]],
    ['alert', [ended]],
    ...offeredRows(last),
  ]
  const said = wrapped([`${error}:`, ...visible(why).split(' ')], ' ', indent)
  const lines = rows.flatMap(([label, words]) =>
    wrapped(words.map(visible), ', ', indent + labelWidth).map((line, i) =>
      `${(i === 0 ? label : '').padEnd(labelWidth)}${line}`.trimEnd(),
    ),
  )
  const head = said.map((line, i) => `${(i === 0 ? String(count) : '').padStart(indent - 2)}  ${line}`)
  return `${[...head, ...lines.map(line => ' '.repeat(indent) + line)].join('\n')}\n`
}

/** What the last of them has offered. */
function offeredRows({ offered }: KeptHandshake): [string, readonly string[]][] {
  const rows: [string, readonly string[] | undefined][] = [
    ['versions', offered.versions],
    ['ciphers', offered.ciphersOffered],
    ['groups', offered.groupsOffered],
    ['signatures', offered.signatureAlgorithms],
    ['protocols', offered.alpnOffered],
    ['JA4', offered.ja4 === undefined ? [] : [offered.ja4]],
  ]
  const shown = rows.flatMap(([label, words]): [string, readonly string[]][] =>
    words === undefined || words.length === 0 ? [] : [[`  ${label}`, firstOf(words)]],
  )
  return shown.length === 0 ? [] : [['offered', ['']], ...shown]
}

/** OpenSSL offers fifty ciphers; the first are those it wants most, and `--json` has all. */
const shownAtMost = 8
const firstOf = (words: readonly string[]): string[] =>
  words.length > shownAtMost
    ? [...words.slice(0, shownAtMost), `and ${words.length - shownAtMost} more`]
    : [...words]

const indent = 7
const labelWidth = 14
const width = 100

function shortened(values: readonly Counted[], inAll: number): string[] {
  const some = values.slice(0, 3).map(({ name, count }) => (values.length === 1 ? name : `${name} (${count})`))
  return inAll > 3 ? [...some, `and ${inAll - 3} more`] : some
}

/** Joined into lines of at most `width` less `from` characters, where one word is not longer. */
function wrapped(words: readonly string[], separator: string, from: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of words) {
    const longer = line === '' ? word : line + separator + word
    if (line !== '' && from + longer.length > width) {
      lines.push(line + separator.trimEnd())
      line = word
    } else line = longer
  }
  return [...lines, line]
}
