/** `sallyport connections`: clients that are connected, and what they do; those that are asked for, of each process. */
import { UsageError } from '../../base/errors.ts'
import { withPort } from '../../base/ip.ts'
import { visible } from '../../base/visible.ts'
import type { OpenConnection } from '../../gateway/gateway.ts'
import { type Command, onlyAnswer } from '../command.ts'
import { fields, oneOf, optional, text, whole } from '../input.ts'

type Row = {
  readonly pid: number
  /** The listener's port, and the number of the connection there */
  readonly port: number
  readonly id: number
  readonly client: string
  readonly clientPort: number
  readonly site: string | null
  readonly sni: string | null
  readonly protocol: ReturnType<OpenConnection['use']>['protocol']
  /** Null in cleartext, and where TLS does not end here */
  readonly tls: string | null
  readonly openedAt: number
  readonly requests: number
  readonly underWay: number
  /** Memory held for it */
  readonly heldBytes: number
}

type Listed = { readonly total: number; readonly matching: number; readonly connections: readonly Row[] }

const orders = ['age', 'bytes', 'requests'] as const
type Order = (typeof orders)[number]

type Input = {
  readonly client: string | undefined
  readonly site: string | undefined
  readonly sort: Order | undefined
  readonly limit: number | undefined
}

const defaultLimit = 100

/** The first of a list stand first. */
const compare: Readonly<Record<Order, (a: Row, b: Row) => number>> = {
  age: (a, b) => a.openedAt - b.openedAt,
  bytes: (a, b) => b.heldBytes - a.heldBytes,
  requests: (a, b) => b.requests - a.requests,
}

export const connections: Command<Input, Listed, Listed> = {
  name: 'connections',
  role: 'view',
  asks: 'every',
  input: fields({
    client: optional(text(64)),
    site: optional(text(253)),
    sort: optional(oneOf(...orders)),
    limit: optional(whole(1, 10_000)),
  }),
  run({ gateway }, { client, site, sort = 'age', limit = defaultLimit }) {
    let [total, matching] = [0, 0]
    let rows: Row[] = []
    for (const each of gateway.openConnections()) {
      total++
      const { connection } = each
      if (client !== undefined && connection.clientAddress !== client) continue
      if (site !== undefined && connection.site?.name !== site) continue
      matching++
      rows.push(rowOf(each))
      // A hundred thousand of them are neither sorted nor sent.
      if (rows.length === limit * 2) rows = first(rows, sort, limit)
    }
    return { total, matching, connections: first(rows, sort, limit) }
  },
  merge(replies, { sort = 'age', limit = defaultLimit }) {
    const lists = replies.flatMap(({ ok }) => ok ?? [])
    if (lists.length === 0) onlyAnswer(replies)
    const sum = (of: (list: Listed) => number) => lists.reduce((all, list) => all + of(list), 0)
    const rows = lists.flatMap(list => list.connections)
    return {
      total: sum(({ total }) => total),
      matching: sum(({ matching }) => matching),
      connections: first(rows, sort, limit),
    }
  },
  verb: {
    usage: 'connections [--client ADDRESS] [--site NAME] [--sort age|bytes|requests] [--limit N]',
    summary: 'which clients are connected, and what they do',
    details:
      'The oldest first, or those that hold the most memory, or have sent the most requests; 100 of them, or as many as --limit says. ' +
      'A site goes by its first host. Connections that only get a redirect are not listed.',
    values: ['client', 'site', 'sort', 'limit'],
    fromWords({ rest, options }) {
      if (rest.length > 0 && rest.join() !== 'list') throw new UsageError(`connections takes no '${rest[0]}'`)
      return Object.fromEntries(['client', 'site', 'sort', 'limit'].map(name => [name, options.get(name)]))
    },
    show: listed => ({ text: tableOf(listed) }),
  },
}

const first = (rows: readonly Row[], sort: Order, limit: number): Row[] =>
  [...rows].sort(compare[sort]).slice(0, limit)

function rowOf(open: OpenConnection): Row {
  const { connection } = open
  const { link, site } = connection
  return {
    pid: process.pid,
    port: connection.serverPort,
    id: connection.id,
    client: connection.clientAddress,
    clientPort: connection.clientPort,
    site: site?.name ?? null,
    sni: connection.serverName,
    tls: link.tls?.version ?? null,
    openedAt: connection.openedAt,
    heldBytes: link.share.bytes,
    ...open.use(),
  }
}

const columns: readonly (readonly [name: string, of: (row: Row, now: number) => string])[] = [
  ['CLIENT', ({ client, clientPort }) => withPort(client, clientPort)],
  ['PORT', ({ port }) => String(port)],
  ['SITE', ({ site, sni }) => site ?? sni ?? '-'],
  ['PROTOCOL', ({ protocol }) => protocol],
  ['TLS', ({ tls }) => tls ?? '-'],
  ['AGE', ({ openedAt }, now) => ageText(now - openedAt)],
  ['REQUESTS', ({ requests, underWay }) => (underWay > 0 ? `${requests} (${underWay} now)` : String(requests))],
  ['HELD', ({ heldBytes }) => sizeText(heldBytes)],
  ['PROCESS', ({ pid }) => String(pid)],
]

function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`
}

const sizeText = (bytes: number): string => (bytes < 1_024 ? `${bytes} B` : `${Math.round(bytes / 1_024)} kB`)

function tableOf({ total, matching, connections: rows }: Listed): string {
  const now = Date.now()
  const cells = [columns.map(([name]) => name), ...rows.map(row => columns.map(([, of]) => visible(of(row, now))))]
  const widths = columns.map((_, at) => Math.max(...cells.map(line => (line[at] as string).length)))
  const lines = cells.map(line =>
    line
      .map((cell, at) => cell.padEnd(widths[at] as number))
      .join('  ')
      .trimEnd(),
  )
  const shown = rows.length < matching ? `, of which ${rows.length} are shown` : ''
  const which = matching < total ? `${matching} of ${total} connections` : `${total} connections`
  return `${rows.length === 0 ? '' : `${lines.join('\n')}\n`}${which}${shown}\n`
}
