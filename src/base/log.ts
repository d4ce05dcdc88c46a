/**
 * The log: one JSON object a line on standard output, or text for people. Lines of one turn of the event loop leave in
 * one write. Values come from the network: each has a bound, and what a terminal would act on is escaped in both forms.
 */

import { LineClock } from './line-clock.ts'
import { boundedFields, shortLine } from './log-bounds.ts'
import { cut, visible, visibleLines } from './visible.ts'

export type Level = 'debug' | 'info' | 'warn' | 'error'
const ranks: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  readonly level: Level
  write(level: Level, message: string, fields?: LogFields): void
  /** Written whatever the level is, as access records are */
  record(message: string, fields: LogFields): void
  /**
   * The same for what is text already.
   * @param members of a JSON object, without its braces: each within its bound (log-bounds.ts), by `jsonText` and `jsonOf`
   */
  recordText(message: string, members: string): void
  /** A line as it is, with its end: in whatever form access records have */
  line(text: string): void
  /** From the next record on */
  use(options: { readonly level: Level; readonly format: 'json' | 'text' }): void
  /** Writes what is still held; before the process ends */
  flush(): void
}

type LogOptions = {
  readonly level: Level
  readonly format: 'json' | 'text'
  readonly out: (text: string) => void
}

export function createLog(options: LogOptions): Log {
  const { out } = options
  let { level, format } = options
  let least = ranks[level]
  let held = ''
  const flush = () => {
    const text = held
    held = ''
    if (text !== '') out(text)
  }
  const hold = (line: string) => {
    if (held === '') setImmediate(flush)
    held += line
  }
  const add = (at: Level, message: string, fields: LogFields) =>
    hold(format === 'json' ? jsonLine(at, message, fields) : textLine(at, message, boundedFields(fields)))
  const clock = new LineClock()
  return {
    get level() {
      return level
    },
    write(at, message, fields = {}) {
      if (ranks[at] >= least) add(at, message, fields)
    },
    record: (message, fields) => add('info', message, fields),
    recordText(message, members) {
      if (format === 'json') hold(recordLine(clock, message, members))
      else hold(textLine('info', message, JSON.parse(`{${members}}`)))
    },
    line: hold,
    use(next) {
      level = next.level
      format = next.format
      least = ranks[level]
    },
    flush,
  }
}

/** @param members of a JSON object, as for `recordText` */
export const recordLine = (clock: LineClock, message: string, members: string): string =>
  `{"time":"${clock.iso()}","level":"info","message":"${message}",${members}}\n`

function jsonLine(level: Level, message: string, fields: LogFields): string {
  const time = new Date().toISOString()
  const line = JSON.stringify({ time, level, message, ...fields })
  if (line.length <= shortLine) return `${visibleLines(line)}\n`
  return `${visibleLines(JSON.stringify({ time, level, message: cut(message, shortLine), ...boundedFields(fields) }))}\n`
}

function textLine(level: Level, message: string, bounded: LogFields): string {
  let line = `${new Date().toISOString().slice(11, 23)} ${level.padEnd(5)} ${cut(message, shortLine)}`
  for (const [name, value] of Object.entries(bounded)) {
    if (value === null || value === undefined || value === '') continue
    const text = typeof value === 'string' && /^[\w./:@*+-]+$/.test(value) ? value : JSON.stringify(value)
    line += ` ${name}=${text}`
  }
  return `${visible(line)}\n`
}
