/**
 * The bound of every field of a log record, so that no peer decides how long a line is: `docs/operations.md` says the
 * same. A record is looked at only when its line is long.
 */
import { cut } from './visible.ts'

/** A line of fewer characters has no field over its bound. */
export const shortLine = 512
export const mostText = 1_024
export const mostPathText = 2_048
const mostTextOf: Readonly<Record<string, number>> = { path: mostPathText, stack: 4_096 }
const mostItems = 64
const mostItemText = 128
const mostDepth = 3

export function boundedFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const bounded: Record<string, unknown> = {}
  let count = 0
  for (const name of Object.keys(fields)) {
    if (++count > mostItems) break
    bounded[name] = boundedValue(fields[name], mostTextOf[name] ?? mostText, 1)
  }
  return bounded
}

function boundedValue(value: unknown, most: number, depth: number): unknown {
  if (typeof value === 'string') return cut(value, most)
  if (typeof value !== 'object' || value === null) return value
  if (depth > mostDepth) return '...'
  if (!Array.isArray(value)) {
    const entries = Object.entries(value)
    const first = entries
      .slice(0, mostItems)
      .map(([name, each]) => [cut(name, mostItemText), boundedValue(each, most, depth + 1)])
    return Object.fromEntries(first)
  }
  const first = value.slice(0, mostItems).map(each => boundedValue(each, mostItemText, depth + 1))
  return value.length > mostItems ? [...first, `... (${value.length - mostItems} more)`] : first
}
