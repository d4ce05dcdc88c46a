/**
 * Where the lines of the access log go, other than to standard output. What a configuration names is opened before it comes into
 * force, so that a reload with a file that cannot be opened fails and changes nothing; what stays the same stays open.
 */
import type { Log } from '../../base/log.ts'
import { counter, type Metrics } from '../../model/metrics.ts'
import { LogFile } from './log-file.ts'
import type { SyslogTarget } from './syslog-message.ts'
import { SyslogTcp } from './syslog-tcp.ts'
import { SyslogUdp } from './syslog-udp.ts'

const droppedTotal = counter(
  'sallyport_access_log_dropped_total',
  'Access log records that a file or a syslog server did not take, or not fast enough.',
  ['to'],
)

/** What of a configuration says where lines go. */
type Destined = {
  readonly file: string | null
  readonly rotate: { readonly sizeBytes: number; readonly keep: number } | null
  readonly syslog: SyslogTarget | null
}

/** Takes a line, with its end. */
export type LineOut = (line: string) => void

/** Takes lines and never waits. */
type LineSink = {
  readonly dropped: number
  write: LineOut
  /** @returns why it could not be opened again; the one before is used then */
  reopen(): string | null
  close(withinMs: number): Promise<void>
}

type Kind = 'file' | 'syslog'
/** `key`: all that it was opened with */
type Open = { readonly kind: Kind; readonly key: string; readonly sink: LineSink }

type Prepared = {
  /** @returns where lines go, or null for standard output */
  commit(): LineOut | null
  discard(): void
}

const closeMs = 500

export class AccessDestination {
  private readonly log: Log
  private readonly rotates: boolean
  private open: readonly Open[] = []
  /** By what is closed */
  private readonly droppedBefore: Record<Kind, number> = { file: 0, syslog: 0 }

  /** @param rotates this process renames a file that is full; others only follow */
  constructor(log: Log, metrics: Metrics, rotates: boolean) {
    this.log = log
    this.rotates = rotates
    metrics.read(droppedTotal, () =>
      (['file', 'syslog'] as const).map(to => ({ labels: [to], value: this.droppedBy(to) })),
    )
  }

  /** Throws UsageError where something cannot be opened. @param access as in the configuration */
  prepare(access: boolean | Destined): Prepared {
    const before = this.open
    const fresh: Open[] = []
    const next: Open[] = []
    const use = (kind: Kind, terms: object, make: () => LineSink) => {
      const key = JSON.stringify(terms)
      const stays = before.find(each => each.kind === kind && each.key === key)
      if (stays !== undefined) next.push(stays)
      else {
        const made = { kind, key, sink: make() }
        fresh.push(made)
        next.push(made)
      }
    }
    if (typeof access !== 'boolean') {
      const { file, rotate, syslog } = access
      if (file !== null) use('file', { file, rotate }, () => this.openFile(file, rotate))
      if (syslog !== null) use('syslog', syslog, () => this.openSyslog(syslog))
    }
    return {
      commit: () => {
        this.open = next
        for (const each of before) if (!next.includes(each)) void this.close(each)
        return outOf(next)
      },
      discard: () => {
        for (const { sink } of fresh) void sink.close(0)
      },
    }
  }

  /** Opens files again by their names. @returns why one could not */
  reopen(): string | null {
    let problem: string | null = null
    for (const { sink } of this.open) problem ??= sink.reopen()
    if (problem !== null)
      this.log.write('error', 'access log not reopened; the file before stays in use', { why: problem })
    return problem
  }

  /** What was written last gets to where it goes, unless that takes too long. */
  async closeAll(): Promise<void> {
    const all = this.open
    await Promise.all(all.map(each => this.close(each)))
    this.open = []
  }

  private async close({ kind, sink }: Open): Promise<void> {
    await sink.close(closeMs)
    this.droppedBefore[kind] += sink.dropped
  }

  private droppedBy(kind: Kind): number {
    return this.open.reduce(
      (sum, each) => sum + (each.kind === kind ? each.sink.dropped : 0),
      this.droppedBefore[kind],
    )
  }

  private openFile(path: string, rotate: Destined['rotate']): LogFile {
    return new LogFile(path, {
      rotate: rotate && { bytes: rotate.sizeBytes, keep: rotate.keep },
      rotates: this.rotates,
      onNotRotated: why =>
        this.log.write('error', 'access log not rotated; records go on to the same file', { file: path, why }),
      ...this.reports('access log cannot be written; records are dropped', { file: path }),
    })
  }

  private openSyslog(target: SyslogTarget): LineSink {
    const { scheme, host, port } = target
    const reports = this.reports('syslog server cannot be reached', { syslog: `${scheme}://${host}:${port}` })
    return scheme === 'tcp' ? new SyslogTcp(target, reports) : new SyslogUdp(target, reports)
  }

  private reports(failed: string, fields: Readonly<Record<string, string>>) {
    return {
      onFailed: (why: string) => this.log.write('error', failed, { ...fields, why }),
      onRecovered: (dropped: number) =>
        this.log.write('warn', 'access log records dropped', { ...fields, dropped }),
    }
  }
}

function outOf(open: readonly Open[]): LineOut | null {
  const [first, second] = open.map(({ sink }) => sink)
  if (first === undefined) return null
  if (second === undefined) return line => first.write(line)
  return line => {
    first.write(line)
    second.write(line)
  }
}
