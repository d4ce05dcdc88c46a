/**
 * Log records of what was refused or ended: failed handshakes, connections of peers that broke a rule, and, where no access
 * log is written, requests and layer-4 connections that went wrong. A flood of them does not fill the disk: so many are
 * written in a second, and the next one says how many were left out.
 */
import { nowMs } from '../base/deadlines.ts'
import type { Level, Log, LogFields } from '../base/log.ts'
import type { EndedConnection, FailedHandshake, Observer } from '../model/records.ts'
import { clientFields, connectionFields, refusedRequestFields } from './access-log.ts'

const perSecond = 50

/** @param accessLogHas whether there is an access log that has records of this kind */
export function refusalLog(log: Log, accessLogHas: (kind: 'refusedRequest' | 'connection') => boolean): Observer {
  let second = 0
  let inSecond = 0
  let unwritten = 0
  const write = (level: Level, message: string, fields: LogFields) => {
    const now = Math.floor(nowMs() / 1000)
    if (now !== second) {
      second = now
      inSecond = 0
    }
    if (++inSecond > perSecond) {
      unwritten++
      return
    }
    log.write(level, message, unwritten > 0 ? { ...fields, unwrittenBefore: unwritten } : fields)
    unwritten = 0
  }
  return {
    name: 'refusal log',
    failedHandshake(failed) {
      const message = failed.error === 'TOO_MANY_CONNECTIONS' ? 'refused' : 'handshake failed'
      write('info', message, handshakeFields(failed))
    },
    endedConnection(ended) {
      write('warn', messages[ended.kind], endedFields(ended))
    },
    refusedRequest(refused) {
      if (!accessLogHas('refusedRequest')) write('debug', 'request', refusedRequestFields(refused))
    },
    connection(record) {
      if (accessLogHas('connection') || record.error === null || record.error === 'CLIENT_GONE') return
      write('warn', record.kind, connectionFields(record))
    },
  }
}

const messages = {
  client: 'connection ended',
  backend: 'backend connection ended',
  memory: 'connection reset',
} as const

function handshakeFields(failed: FailedHandshake): LogFields {
  const { client, clientPort, port, sni, offered, alert, alertFrom, error, why } = failed
  return { client, clientPort, port, sni, ...offered, alert, alertFrom, error, why }
}

function endedFields(ended: EndedConnection): LogFields {
  const { error, why } = ended
  switch (ended.kind) {
    case 'client':
      return { ...clientFields(ended.connection), error, why }
    case 'backend':
      return { endpoint: ended.endpoint, error, why }
    case 'memory':
      return { address: ended.address, error, why }
  }
}
