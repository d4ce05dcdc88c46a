/** Syslog messages (RFC 5424), of which the lines of a log are the text: everything before it is the same but for the time. */
import { hostname } from 'node:os'
import type { LineClock } from '../../base/line-clock.ts'

/** RFC 5424 section 6.2.1, in order of their numbers. */
export const facilities = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const

export type SyslogTarget = {
  readonly scheme: 'udp' | 'tcp'
  /** A name or an IP address without brackets */
  readonly host: string
  readonly port: number
  readonly facility: (typeof facilities)[number]
  /** APP-NAME: 1 to 48 visible ASCII characters */
  readonly tag: string
}

/** What becomes of a destination, for the log of the gateway. */
export type SyslogReports = {
  /** Called once until messages leave again */
  readonly onFailed: (why: string) => void
  /** @param dropped messages since the last call */
  readonly onRecovered: (dropped: number) => void
}

/** How long to wait before the next attempt to reach a server, by the number of attempts that failed in a row. */
export const retryMs = (failures: number): number => Math.min(30_000, 100 * 2 ** Math.min(failures, 10))

const informational = 6

/** @returns what makes a message of a line, whose end is left out */
export function syslogMessage({ facility, tag }: SyslogTarget, clock: LineClock): (line: string) => string {
  const priority = facilities.indexOf(facility) * 8 + informational
  const host =
    hostname()
      .replace(/[^\x21-\x7e]/g, '')
      .slice(0, 255) || '-'
  const before = `<${priority}>1 `
  const behind = ` ${host} ${tag} ${process.pid} access - `
  return line => before + clock.iso() + behind + line.slice(0, -1)
}
