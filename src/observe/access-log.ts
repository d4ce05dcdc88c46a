/**
 * The access log: a record for each request and each layer-4 connection. That of a request is written as JSON text at once,
 * field by field, with no object in between: at full load it is written as often as requests are served. What a connection
 * has in all its records is made into text with the first. test/unit/access-log.test.ts holds the format.
 */
import { LineClock } from '../base/line-clock.ts'
import { type Log, type LogFields, recordLine } from '../base/log.ts'
import { boundedFields, mostPathText, mostText } from '../base/log-bounds.ts'
import { cut, jsonOf, jsonText } from '../base/visible.ts'
import type {
  ConnectionRecord,
  ConnectionText,
  ObservedConnection,
  Observer,
  RefusedRequest,
  RequestRecord,
} from '../model/records.ts'
import type { CloudIds } from '../wire/proxy-header.ts'
import type { LineOut } from './access/destination.ts'
import { compileLine, type LineFormat } from './access/format.ts'
import { type QueryMode, type ShownQuery, shownQuery } from './access/redact.ts'
import { forwardedPath, refererOf, sentField, traceOf } from './access/values.ts'

/** What of a configuration says what is written. */
export type AccessTerms = {
  readonly format: LineFormat
  readonly fields: readonly AddedField[]
  readonly query: QueryMode
  readonly redact: readonly string[]
  readonly samplePercent: number
}
type AddedField = 'userAgent' | 'referer' | 'forwardedPath' | 'trace'

const plainTerms: AccessTerms = {
  format: { kind: 'json' },
  fields: [],
  query: 'redacted',
  redact: [],
  samplePercent: 100,
}

/** @param out null for standard output, which `log` writes to */
export function accessLog(log: Log, terms = plainTerms, out: LineOut | null = null): Observer {
  const { format, fields, samplePercent } = terms
  const query = shownQuery(terms.query, terms.redact)
  const clock = new LineClock()
  const isWanted = (record: RequestRecord): boolean =>
    !record.unlogged &&
    (samplePercent === 100 ||
      record.status >= 500 ||
      record.errorCode !== null ||
      Math.random() * 100 < samplePercent)
  if (format.kind === 'line') {
    const write = out ?? (line => log.line(line))
    const lineOf = compileLine(format.parts, { query, clock })
    return {
      name: 'access log',
      request: record => isWanted(record) && write(lineOf(record)),
      refusedRequest: refused => write(lineOf(recordOf(refused))),
    }
  }
  const record = (message: string, members: string) =>
    out === null ? log.recordText(message, members) : out(recordLine(clock, message, members))
  const recordFields = (message: string, of: LogFields) =>
    out === null ? log.record(message, of) : record(message, jsonOf(boundedFields(of)).slice(1, -1))
  const added = addedMembers(fields, query)
  return {
    name: 'access log',
    request: of =>
      isWanted(of) &&
      record('request', added === null ? requestJson(of, query) : requestJson(of, query) + added(of)),
    refusedRequest: refused => recordFields('request', refusedRequestFields(refused)),
    connection: of => recordFields(of.kind, connectionFields(of)),
  }
}

function addedMembers(
  fields: readonly AddedField[],
  query: ShownQuery,
): ((record: RequestRecord) => string) | null {
  if (fields.length === 0) return null
  const values = fields.map(field => addedValues[field])
  return record => {
    let members = ''
    for (const value of values) members += value(record, { query })
    return members
  }
}

const textOrNull = (value: string | null, most = mostText): string => (value === null ? 'null' : text(value, most))

const addedValues: Readonly<Record<AddedField, (record: RequestRecord, terms: { query: ShownQuery }) => string>> = {
  userAgent: record => `,"userAgent":${textOrNull(sentField(record, 'user-agent'))}`,
  referer: (record, terms) => `,"referer":${textOrNull(refererOf(record, terms))}`,
  forwardedPath: (record, terms) => `,"forwardedPath":${textOrNull(forwardedPath(record, terms), mostPathText)}`,
  trace: record => {
    const trace = traceOf(record)
    return trace === null ? ',"trace":null' : `,"trace":{"id":"${trace.traceId}","parent":"${trace.parentId}"}`
  },
}

const redacted = shownQuery('redacted', [])

const text = (value: string, most = mostText): string => jsonText(value.length > most ? cut(value, most) : value)

/** The members of a JSON object. docs/observability.md lists them. */
export function requestJson(record: RequestRecord, shown: ShownQuery = redacted): string {
  const { connection, startedAt, sentAt, headAt, endedAt, query } = record
  const known = connection.logText ?? connectionText(connection)
  connection.logText = known
  const path = query === '' ? record.path : record.path + shown(query)
  return (
    `"id":${jsonText(record.id)},${startOf(record, known)}${text(path, mostPathText)},"status":${record.status}` +
    `,"bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut}${known.handshake}${elapsed(startedAt, sentAt)}` +
    `,"response":${elapsed(sentAt, headAt)},"total":${elapsed(startedAt, endedAt)}${endOf(record, known)}`
  )
}

/** Client, method and host: nearly all requests of a connection have the same. */
function startOf(record: RequestRecord, known: ConnectionText): string {
  const { client, connection, host } = record
  const { method, version } = record.head
  if (known.host === host && known.method === method && known.version === version && known.client === client)
    return known.start
  // A trusted proxy has named the client: the log has both.
  const peer = client === connection ? '' : `,"peer":${jsonText(connection.clientAddress)}`
  const start = flat(
    `"client":${jsonText(client.clientAddress)}${peer}${cloudText(connection)},"port":${connection.serverPort},"http":${version}` +
      `,"method":${text(method)},"host":${text(host)},"path":`,
  )
  Object.assign(known, { host, method, version, client, start })
  return start
}

const cloudText = ({ cloud }: ObservedConnection): string =>
  cloud === null ? '' : `,"proxy":${jsonOf(saidBy(cloud))}`

/** The ids that were sent. */
const saidBy = (cloud: CloudIds): Partial<CloudIds> =>
  Object.fromEntries(Object.entries(cloud).filter(([, id]) => id !== null))

/** From TLS to the endpoint, where nothing has failed: a connection has the same again and again, too. */
function endOf(record: RequestRecord, known: ConnectionText): string {
  const { route, attempts, errorCode, errorWhy } = record
  const endpoint = attempts.endpoint?.label ?? null
  const failed = errorCode !== null || errorWhy !== null
  if (!failed && known.route === route && known.endpoint === endpoint && known.attempts === attempts.count)
    return known.end
  const before =
    `},"tls":${known.tls},"route":${route === null ? 'null' : text(route.name)}` +
    `,"endpoint":${endpoint === null ? 'null' : text(endpoint)},"attempts":${attempts.count}`
  if (failed)
    return (
      `${before},"error":${errorCode === null ? 'null' : `"${errorCode}"`}` +
      `,"why":${errorWhy === null ? 'null' : text(errorWhy)}`
    )
  const end = flat(`${before},"error":null,"why":null`)
  Object.assign(known, { route, endpoint, attempts: attempts.count, end })
  return end
}

/** Text that is put together is flattened when it is looked into: once here, and not in each line that it stands in. */
function flat(text: string): string {
  text.charCodeAt(0)
  return text
}

function connectionText(connection: ObservedConnection): ConnectionText {
  return {
    handshake: flat(`,"ms":{"handshake":${millisText(connection.handshakeMs)},"connect":`),
    tls: connection.secure ? jsonOf(boundedFields({ tls: tlsFields(connection) })['tls']) : 'null',
    start: '',
    host: null,
    method: '',
    version: 0,
    client: null,
    end: '',
    route: undefined,
    endpoint: null,
    attempts: -1,
  }
}

function tlsFields(connection: ObservedConnection) {
  const settled = connection.link.tls
  if (settled === null) return null
  const { version, cipher, alpn, resumed } = settled
  const client = connection.identity === null ? {} : { client: connection.identity.subject }
  return {
    version,
    cipher,
    group: connection.group,
    alpn,
    resumed,
    sni: connection.serverName,
    ...connection.fingerprint,
    ...client,
  }
}

export const clientFields = (connection: ObservedConnection) => ({
  client: connection.clientAddress,
  clientPort: connection.clientPort,
  ...(connection.cloud === null ? {} : { proxy: saidBy(connection.cloud) }),
  port: connection.serverPort,
  sni: connection.serverName,
})

export const refusedRequestFields = ({ id, connection, status, error, why }: RefusedRequest): LogFields => ({
  id,
  ...clientFields(connection),
  status,
  error,
  why,
})

export function connectionFields(record: ConnectionRecord): LogFields {
  const { connection } = record
  return {
    ...clientFields(connection),
    upstream: record.upstream.name,
    endpoint: record.endpoint,
    bytesIn: record.bytesIn,
    bytesOut: record.bytesOut,
    ms: { connect: Math.round(record.connectMs), total: Math.round(record.totalMs) },
    tls: connection.secure ? { group: connection.group, sni: connection.serverName } : null,
    error: record.error,
    why: record.why,
  }
}

/** A request that could not be read, as a record of one of which nothing is known. */
const recordOf = ({ id, connection, http, status, error, why }: RefusedRequest): RequestRecord => ({
  id,
  connection,
  client: connection,
  head: { method: '-', version: http, minor: 1, fields: { sent: '' } },
  host: '',
  path: '-',
  query: '',
  forwardPath: '',
  forwardQuery: '',
  status,
  bytesIn: 0,
  bytesOut: 0,
  startedAt: 0,
  sentAt: 0,
  headAt: 0,
  endedAt: 0,
  site: null,
  route: null,
  unlogged: false,
  attempts: { count: 0, endpoint: null, upstreamName: null },
  errorCode: error,
  errorWhy: why,
})

const elapsed = (from: number, to: number): string => (from === 0 || to === 0 ? 'null' : millisText(to - from))

/** `.123` for 123; formatting a fraction takes longer than all the rest of a line's numbers. */
const thousandths = Array.from({ length: 1_000 }, (_, at) => (at === 0 ? '' : String(at / 1_000).slice(1)))

/** Milliseconds to three decimals, as JSON writes that number. */
export function millisText(ms: number): string {
  if (!(ms >= 0)) return JSON.stringify(Math.round(ms * 1000) / 1000)
  const micros = Math.round(ms * 1000)
  const whole = Math.floor(micros / 1000)
  return whole + (thousandths[micros - whole * 1000] as string)
}
