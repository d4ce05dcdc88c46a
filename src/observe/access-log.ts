/**
 * The access log: a record for each request and each layer-4 connection. That of a request is written as JSON text at once,
 * field by field, with no object in between: at full load it is written as often as requests are served. What a connection
 * has in all its records is made into text with the first. test/unit/access-log.test.ts holds the format.
 */
import type { Log, LogFields } from '../base/log.ts'
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

export const accessLog = (log: Log): Observer => ({
  name: 'access log',
  request: record => log.recordText('request', requestJson(record)),
  refusedRequest: refused => log.record('request', refusedRequestFields(refused)),
  connection: record => log.record(record.kind, connectionFields(record)),
})

const text = (value: string, most = mostText): string => jsonText(value.length > most ? cut(value, most) : value)

/** The members of a JSON object. docs/observability.md lists them. */
export function requestJson(record: RequestRecord): string {
  const { connection, head, startedAt, sentAt, headAt, endedAt, route, attempts, errorCode, errorWhy } = record
  connection.logText ??= connectionText(connection)
  const { handshakeMs, tls } = connection.logText
  const client = record.client === connection ? connection.logText.client : behindProxy(record)
  const { endpoint } = attempts
  return (
    `"id":${jsonText(record.id)},${client},"http":${head.version},"method":${text(head.method)}` +
    `,"host":${text(record.host)},"path":${text(record.path + record.query, mostPathText)},"status":${record.status}` +
    `,"bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut},"ms":{"handshake":${handshakeMs}` +
    `,"connect":${elapsed(startedAt, sentAt)},"response":${elapsed(sentAt, headAt)}` +
    `,"total":${elapsed(startedAt, endedAt)}},"tls":${tls}` +
    `,"route":${route === null ? 'null' : text(route.name)}` +
    `,"endpoint":${endpoint === null ? 'null' : text(endpoint.label)},"attempts":${attempts.count}` +
    `,"error":${errorCode === null ? 'null' : `"${errorCode}"`}` +
    `,"why":${errorWhy === null ? 'null' : text(errorWhy)}`
  )
}

/** A trusted proxy has named the client: the log has both. */
const behindProxy = ({ client, connection }: RequestRecord): string =>
  `"client":${jsonText(client.clientAddress)},"peer":${jsonText(connection.clientAddress)},"port":${connection.serverPort}`

function connectionText(connection: ObservedConnection): ConnectionText {
  return {
    client: `"client":${jsonText(connection.clientAddress)},"port":${connection.serverPort}`,
    handshakeMs: millisText(connection.handshakeMs),
    tls: connection.secure ? jsonOf(boundedFields({ tls: tlsFields(connection) })['tls']) : 'null',
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
