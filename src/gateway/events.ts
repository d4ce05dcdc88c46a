/** What the data plane reports, as log records. Failed handshakes are one record each that says why in words. */

import { nowMs } from '../base/deadlines.ts'
import type { Level, Log } from '../base/log.ts'
import { cut, firstOf } from '../base/visible.ts'
import type { Connection } from '../model/connection.ts'
import { faultLog } from '../observe/fault-log.ts'
import type { HandshakeLog, Offered } from '../observe/handshake-log.ts'
import type { RequestCounts } from '../observe/request-counts.ts'
import type { Events, ExchangeRecord, SpliceRecord } from '../proxy/seam/services.ts'
import type { ClientHello } from '../wire/client-hello.ts'
import { ja4Of } from '../wire/ja4.ts'
import { cipherName, groupName, isGrease, signatureName, versionName } from '../wire/tls-names.ts'

/** Refusals are written up to this many a second, so that a flood of them does not fill the disk; the rest is counted. */
const refusedPerSecond = 50

export type LogEvents = Events & {
  /** Whether exchanges and layer-4 connections are logged, from now on */
  logAccess(on: boolean): void
}

export function logEvents(log: Log, handshakes: HandshakeLog, requests: RequestCounts): LogEvents {
  let access = false
  const record = (exchange: ExchangeRecord) => log.record('request', exchangeFields(exchange))
  let second = 0
  let inSecond = 0
  let unwritten = 0
  const refusal = (level: Level, message: string, fields: Record<string, unknown>) => {
    const now = Math.floor(nowMs() / 1000)
    if (now !== second) {
      second = now
      inSecond = 0
    }
    if (++inSecond > refusedPerSecond) {
      unwritten++
      return
    }
    log.write(level, message, unwritten > 0 ? { ...fields, unwrittenBefore: unwritten } : fields)
    unwritten = 0
  }
  const events: LogEvents = {
    logAccess(on) {
      access = on
      events.exchange = on ? record : null
    },
    answered: status => requests.answered(status),
    handshakeDone: ms => requests.handshakeDone(ms),
    exchange: null,
    splice(record) {
      if (access) log.record(record.kind, spliceFields(record))
      else if (record.error !== null && record.error !== 'CLIENT_GONE')
        refusal('warn', record.kind, spliceFields(record))
    },
    badRequest(connection, error, status, id) {
      requests.answered(status)
      const fields = { id, ...clientFields(connection), status, error: error.code, why: error.message }
      if (access) log.record('request', fields)
      else refusal('debug', 'request', fields)
    },
    refused(connection, error, hello, alert) {
      const handshake = error.code === 'TOO_MANY_CONNECTIONS' ? 'refused' : 'handshake failed'
      const offered = offeredBy(hello)
      const why = error.message
      const { clientAddress: client, serverName: sni } = connection
      const ended = { alert: alert?.name ?? null, alertFrom: alert?.from ?? null }
      requests.handshakeFailed(error.code)
      handshakes.add({
        at: Date.now(),
        error: error.code,
        why: cut(why, whyAtMost),
        client,
        sni,
        ...ended,
        offered,
      })
      refusal('info', handshake, { ...clientFields(connection), ...offered, ...ended, error: error.code, why })
    },
    ended(connection, error) {
      refusal('warn', 'connection ended', {
        ...clientFields(connection),
        error: error.code,
        why: error.message,
      })
    },
    overBudget(address, error) {
      refusal('warn', 'connection reset', { address, error: error.code, why: error.message })
    },
    backendViolated(endpoint, error) {
      refusal('warn', 'backend connection ended', { endpoint, error: error.code, why: error.message })
    },
    fault: faultLog(log),
  }
  return events
}

const clientFields = (connection: Connection) => ({
  client: connection.clientAddress,
  clientPort: connection.clientPort,
  port: connection.serverPort,
  sni: connection.serverName,
})

/** A hello may offer thousands: what is kept of each list, for every one of the last handshakes. */
const offeredAtMost = 64
/** Names of protocols are up to 255 bytes of anything. */
const namesAtMost = 16
const nameAtMost = 64
const whyAtMost = 1_024

function offeredBy(hello: ClientHello | null): Offered | Record<string, never> {
  if (hello === null) return {}
  const names = (values: readonly number[], name: (value: number) => string) =>
    values
      .filter(value => !isGrease(value))
      .slice(0, offeredAtMost)
      .map(name)
  return {
    alpnOffered: firstOf(hello.alpn, namesAtMost, nameAtMost),
    ja4: ja4Of(hello),
    groupsOffered: names(hello.groups, groupName),
    signatureAlgorithms: names(hello.signatureAlgorithms, signatureName),
    versions: names(hello.versions, versionName),
    ciphersOffered: names(hello.cipherSuites, cipherName),
  }
}

function tlsFields(connection: Connection) {
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

function exchangeFields(exchange: ExchangeRecord) {
  const { connection } = exchange.downstream
  const now = nowMs()
  const ms = (from: number, to: number) => (from === 0 || to === 0 ? null : Math.round((to - from) * 1000) / 1000)
  return {
    id: exchange.id,
    client: connection.clientAddress,
    port: connection.serverPort,
    http: exchange.head.version,
    method: exchange.head.method,
    host: exchange.host,
    path: exchange.path + exchange.query,
    status: exchange.status,
    bytesIn: exchange.bytesIn,
    bytesOut: exchange.bytesOut,
    ms: {
      handshake: Math.round(connection.handshakeMs * 1000) / 1000,
      connect: ms(exchange.startedAt, exchange.sentAt),
      response: ms(exchange.sentAt, exchange.headAt),
      total: ms(exchange.startedAt, now),
    },
    tls: connection.secure ? tlsFields(connection) : null,
    route: exchange.route?.name ?? null,
    endpoint: exchange.attempts.endpoint?.label ?? null,
    attempts: exchange.attempts.count,
    error: exchange.errorCode,
    why: exchange.errorWhy,
  }
}

function spliceFields(record: SpliceRecord) {
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
