/**
 * The log: one JSON object a line on standard output, or text for people. Lines of one turn of the event loop leave in
 * one write. Values come from the network: JSON escapes them, and the text form does too.
 */

export type Level = 'debug' | 'info' | 'warn' | 'error'
const ranks: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  readonly level: Level
  write(level: Level, message: string, fields?: LogFields): void
  /** Writes what is still held; before the process ends */
  flush(): void
}

export type LogOptions = {
  readonly level: Level
  readonly format: 'json' | 'text'
  readonly out: (text: string) => void
}

export function createLog({ level, format, out }: LogOptions): Log {
  let held = ''
  const least = ranks[level]
  const flush = () => {
    const text = held
    held = ''
    if (text !== '') out(text)
  }
  return {
    level,
    write(at, message, fields = {}) {
      if (ranks[at] < least) return
      if (held === '') setImmediate(flush)
      held += format === 'json' ? jsonLine(at, message, fields) : textLine(at, message, fields)
    },
    flush,
  }
}

function jsonLine(level: Level, message: string, fields: LogFields): string {
  return `${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`
}

function textLine(level: Level, message: string, fields: LogFields): string {
  let line = `${new Date().toISOString().slice(11, 23)} ${level.padEnd(5)} ${message}`
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined || value === '') continue
    const text = typeof value === 'string' && /^[\w./:@*+-]+$/.test(value) ? value : JSON.stringify(value)
    line += ` ${name}=${text}`
  }
  return `${line}\n`
}
