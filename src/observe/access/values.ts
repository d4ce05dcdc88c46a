/**
 * What a line of the access log can be made of: the names that stand in a template, each with the function that takes its value
 * from a record when the line is written. Nothing is taken that no line has. docs/access-log.md is made from this table.
 */

import type { LineClock } from '../../base/line-clock.ts'
import type { RequestRecord } from '../../model/records.ts'
import { cloudTable } from '../../wire/cloud-variables.ts'
import { fieldIn } from '../../wire/fields.ts'
import { parseTraceParent, type TraceParent } from '../../wire/trace-parent.ts'
import type { ShownQuery } from './redact.ts'

/** What is looked up besides the record. */
export type LineTerms = { readonly query: ShownQuery; readonly clock: LineClock }

/** Null where there is none. */
type Value = (record: RequestRecord, terms: LineTerms) => string | null

export type Variable = {
  readonly docs: string
  readonly value: Value
  /** Never anything but plain ASCII without quotes: it is neither escaped nor bounded */
  readonly plain?: true
  /** A path, with the longer bound */
  readonly isPath?: true
}

export const sentField = (record: RequestRecord, name: string): string | null =>
  fieldIn(record.head.fields.sent, name)

/** The Referer has a query of its own. */
export function refererOf(record: RequestRecord, { query }: Pick<LineTerms, 'query'>): string | null {
  const referer = sentField(record, 'referer')
  const at = referer === null ? -1 : referer.indexOf('?')
  return referer === null || at < 0 ? referer : referer.slice(0, at) + query(referer.slice(at))
}

export function traceOf(record: RequestRecord): TraceParent | null {
  const sent = sentField(record, 'traceparent')
  return sent === null ? null : parseTraceParent(sent)
}

/** What the origin was asked for, after `strip` and `rewrite`; null where nothing was asked. */
export const forwardedPath = (record: RequestRecord, { query }: Pick<LineTerms, 'query'>): string | null =>
  record.forwardPath === '' ? null : record.forwardPath + query(record.forwardQuery)

const httpVersion = ({ head }: RequestRecord): string =>
  head.version === 2 ? 'HTTP/2.0' : head.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1'

const tls = (pick: (of: NonNullable<RequestRecord['connection']['link']['tls']>) => string | null): Value => {
  return ({ connection }) => (connection.secure && connection.link.tls !== null ? pick(connection.link.tls) : null)
}

const millis = (from: number, to: number): string | null => (from === 0 || to === 0 ? null : (to - from).toFixed(3))
const seconds = (from: number, to: number): string | null =>
  from === 0 || to === 0 ? null : ((to - from) / 1000).toFixed(3)

export const logVariables: Readonly<Record<string, Variable>> = {
  time: {
    docs: 'When the request ended, as in `2026-11-28T13:55:36.123Z`.',
    value: (_, { clock }) => clock.iso(),
    plain: true,
  },
  'time.local': {
    docs: 'The same in local time, as nginx and Apache write it: `28/Nov/2026:13:55:36 +0000`.',
    value: (_, { clock }) => clock.local(),
    plain: true,
  },
  'client.address': {
    docs: "The client's address, from a trusted proxy if there is one.",
    value: ({ client }) => client.clientAddress,
  },
  'client.peer': {
    docs: 'The address that the connection came from: that of the trusted proxy, if there is one.',
    value: ({ connection }) => connection.clientAddress,
  },
  'client.port': { docs: "The client's port.", value: ({ client }) => `${client.clientPort}`, plain: true },
  'client.subject': {
    docs: "The subject of the client's verified certificate (RFC 4514).",
    value: ({ connection }) => connection.identity?.subject ?? null,
  },
  'client.ja4': {
    docs: "The JA4 fingerprint of the client's TLS ClientHello.",
    value: ({ connection }) => connection.fingerprint?.ja4 ?? null,
  },
  ...cloudTable((docs, pick) => ({
    docs,
    value: ({ connection }: RequestRecord) => (connection.cloud === null ? null : pick(connection.cloud)),
    plain: true as const,
  })),
  'tls.version': { docs: 'The TLS version, as in `TLSv1.3`.', value: tls(({ version }) => version), plain: true },
  'tls.cipher': { docs: 'The cipher suite.', value: tls(({ cipher }) => cipher), plain: true },
  'tls.group': { docs: 'The key exchange group.', value: ({ connection }) => connection.group, plain: true },
  'tls.serverName': {
    docs: 'The server name in the ClientHello.',
    value: ({ connection }) => connection.serverName,
  },
  'request.id': { docs: 'The id of the request.', value: ({ id }) => id },
  'request.line': {
    docs: 'Method, path with query, and version, as in `GET /a?b=c HTTP/1.1`.',
    value: (record, { query }) =>
      `${record.head.method} ${record.path}${query(record.query)} ${httpVersion(record)}`,
    isPath: true,
  },
  'request.method': { docs: 'The method.', value: ({ head }) => head.method },
  'request.scheme': {
    docs: '`https` or `http`, as the client connected.',
    value: ({ client }) => (client.secure ? 'https' : 'http'),
    plain: true,
  },
  'request.host': { docs: 'The requested host, with its port if it has one.', value: ({ host }) => host },
  'request.port': {
    docs: 'The port that the client connected to.',
    value: ({ connection }) => `${connection.serverPort}`,
    plain: true,
  },
  'request.path': {
    docs: 'The requested path, in normal form, without the query.',
    value: ({ path }) => path,
    isPath: true,
  },
  'request.query': {
    docs: 'The query with its `?`, as far as `query` and `redact` allow it.',
    value: (record, { query }) => query(record.query),
    isPath: true,
  },
  'request.version': { docs: '`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.', value: httpVersion, plain: true },
  'request.bytes': { docs: 'Bytes of the request body.', value: ({ bytesIn }) => `${bytesIn}`, plain: true },
  'request.userAgent': {
    docs: 'User-Agent, as sent by the client.',
    value: record => sentField(record, 'user-agent'),
  },
  'request.referer': {
    docs: 'Referer, as sent by the client, with its query treated like that of the request.',
    value: refererOf,
  },
  'forward.path': {
    docs: 'The path and query that the backend was asked for, after `strip` and `rewrite`.',
    value: forwardedPath,
    isPath: true,
  },
  'trace.id': {
    docs: 'The trace id in `traceparent` (W3C Trace Context).',
    value: record => traceOf(record)?.traceId ?? null,
    plain: true,
  },
  'trace.parent': {
    docs: 'The parent id in `traceparent`.',
    value: record => traceOf(record)?.parentId ?? null,
    plain: true,
  },
  'site.name': { docs: 'The first host of the site.', value: ({ site }) => site?.name ?? null },
  'route.name': { docs: 'The route.', value: ({ route }) => route?.name ?? null },
  'upstream.name': {
    docs: 'The upstream that the request was sent to.',
    value: ({ attempts }) => attempts.upstreamName,
  },
  'upstream.endpoint': {
    docs: 'The last endpoint that was tried.',
    value: ({ attempts }) => attempts.endpoint?.label ?? null,
  },
  'upstream.attempts': {
    docs: 'Attempts at endpoints.',
    value: ({ attempts }) => `${attempts.count}`,
    plain: true,
  },
  'response.status': {
    docs: 'The status; 0 if the client got none.',
    value: ({ status }) => `${status}`,
    plain: true,
  },
  'response.bytes': { docs: 'Bytes of the response body.', value: ({ bytesOut }) => `${bytesOut}`, plain: true },
  'ms.connect': {
    docs: 'Milliseconds until the request was sent to the backend.',
    value: ({ startedAt, sentAt }) => millis(startedAt, sentAt),
    plain: true,
  },
  'ms.response': {
    docs: "Milliseconds from then to the head of the backend's response.",
    value: ({ sentAt, headAt }) => millis(sentAt, headAt),
    plain: true,
  },
  'ms.total': {
    docs: 'Milliseconds from start to end.',
    value: ({ startedAt, endedAt }) => millis(startedAt, endedAt),
    plain: true,
  },
  'seconds.total': {
    docs: 'The same in seconds, like `$request_time` of nginx.',
    value: ({ startedAt, endedAt }) => seconds(startedAt, endedAt),
    plain: true,
  },
  'error.code': { docs: 'The code of [errors.md](errors.md).', value: ({ errorCode }) => errorCode, plain: true },
  'error.why': { docs: 'The sentence for it.', value: ({ errorWhy }) => errorWhy },
}

/** Fields of requests that no log may have. */
const secretFields: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie'])

/** `request.header.NAME` beside those of the table. @returns null for no such name, or why it is refused */
export function logVariable(name: string): Variable | string | null {
  if (Object.hasOwn(logVariables, name)) return logVariables[name] as Variable
  const header = /^request\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)$/.exec(name)?.[1]?.toLowerCase()
  if (header === undefined) return null
  if (secretFields.has(header)) return `{${name}} holds credentials, which are not logged`
  return { docs: '', value: record => sentField(record, header) }
}
