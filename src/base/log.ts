/**
 * The log: one JSON object a line on standard output, or text for people. Lines of one turn of the event loop leave in
 * one write, access records of several turns. Values come from the network: each has a bound, and what a terminal would act
 * on is escaped in both forms.
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

/** So many characters are written at once, or what has come within the time. A line that comes alone is written at once. */
const fullLength = 64 * 1024
const gatherMs = 20

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
  let writtenAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | null = null
  /** Written at the end of this turn */
  let due = false
  const flush = () => {
    const text = held
    held = ''
    due = false
    if (timer !== null) clearTimeout(timer)
    timer = null
    if (text === '') return
    writtenAt = performance.now()
    out(text)
  }
  const dueNow = () => {
    if (due) return
    due = true
    setImmediate(flush)
  }
  const hold = (line: string) => {
    held += line
    dueNow()
  }
  /** For what comes with every request: at full load, a write for each turn would cost more than making the lines. */
  const gather = (line: string) => {
    held += line
    if (due || (timer !== null && held.length < fullLength)) return
    if (held.length >= fullLength || performance.now() - writtenAt > gatherMs) dueNow()
    else timer = setTimeout(flush, gatherMs)
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
      if (format === 'json') gather(recordLine(clock, message, members))
      else gather(textLine('info', message, JSON.parse(`{${members}}`)))
    },
    line: gather,
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
