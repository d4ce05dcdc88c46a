/** Numbers of a configuration, with and without units: what each kind takes, its range, and what a near miss meant. */
import {
  formatDuration,
  formatSize,
  maxDurationMs,
  parseDuration,
  parsePercent,
  parseRate,
  parseSize,
  suggestDuration,
  suggestRate,
  suggestSize,
} from '../../base/units.ts'
import type { Kind } from './kinds.ts'
import { lastKey, orWords, type Reporter, wrongKind } from './mistakes.ts'
import type { Node } from './tree.ts'

type Amount = Kind & { type: 'integer' | 'duration' | 'size' | 'percent' | 'rate' }
type Scalar = string | number | boolean | null

/** Words stand for amounts: `none`, `auto`. */
export function readAmount(node: Node, kind: Amount, reporter: Reporter): unknown {
  const value = node.kind === 'scalar' ? node.value : null
  if (typeof value === 'string' && kind.words && Object.hasOwn(kind.words, value)) return kind.words[value]
  switch (kind.type) {
    case 'integer':
      return readInteger(node, value, kind, reporter)
    case 'duration':
      return readDuration(node, value, kind, reporter)
    case 'size':
      return readSize(node, value, kind, reporter)
    case 'percent':
      return readPercent(node, value, kind, reporter)
    case 'rate':
      return readRate(node, value, kind, reporter)
  }
}

function readInteger(node: Node, value: Scalar, kind: Kind & { type: 'integer' }, reporter: Reporter): unknown {
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (value >= kind.min && value <= kind.max) return value
    reporter.problems.error(node.at, `${lastKey(node.at)} is ${kind.min} to ${kind.max}, not ${value}`)
    return undefined
  }
  const hint = typeof value === 'string' && /^[0-9]+$/.test(value) ? 'write it without quotes' : undefined
  return wrongKind(node, `a whole number${orWords(kind.words)}`, reporter, hint)
}

function readDuration(node: Node, value: Scalar, kind: Kind & { type: 'duration' }, reporter: Reporter): unknown {
  const { words, maxMs = maxDurationMs } = kind
  const ms = typeof value === 'string' ? parseDuration(value) : null
  if (ms === null) {
    const meant = typeof value === 'string' ? suggestDuration(value) : null
    const hint =
      meant !== null
        ? `write ${meant}`
        : typeof value === 'number'
          ? `add the unit: ${value}s or ${value}ms`
          : undefined
    return wrongKind(node, `a duration as in 250ms, 30s, 5m, 12h or 1d${orWords(words)}`, reporter, hint)
  }
  if (ms >= 1 && ms <= maxMs) return ms
  const hint = words && ms === 0 ? `to disable the timeout, write ${Object.keys(words).join(' or ')}` : undefined
  reporter.problems.error(node.at, `${lastKey(node.at)} is 1ms to ${formatDuration(maxMs)}, not ${value}`, hint)
  return undefined
}

function readSize(node: Node, value: Scalar, kind: Kind & { type: 'size' }, reporter: Reporter): unknown {
  const number = typeof value === 'number' && Number.isSafeInteger(value) ? value : null
  const bytes = typeof value === 'string' ? parseSize(value) : number
  if (bytes === null) {
    const meant = typeof value === 'string' ? suggestSize(value) : null
    const hint = meant === null ? undefined : `write ${meant}`
    return wrongKind(node, `a size as in 512b, 16kb or 1mb${orWords(kind.words)}`, reporter, hint)
  }
  if (bytes >= kind.min && bytes <= kind.max) return bytes
  const hint =
    kind.words && bytes === 0 ? `to disable the limit, write ${Object.keys(kind.words).join(' or ')}` : undefined
  const most =
    kind.max === Number.MAX_SAFE_INTEGER
      ? 'at most 2^53 bytes'
      : `${formatSize(kind.min)} to ${formatSize(kind.max)}`
  reporter.problems.error(node.at, `${lastKey(node.at)} is ${most}, not ${value}`, hint)
  return undefined
}

function readPercent(node: Node, value: Scalar, kind: Kind & { type: 'percent' }, reporter: Reporter): unknown {
  const percent = typeof value === 'string' ? parsePercent(value) : null
  if (percent === null) {
    const bare = value === null || value === '' ? Number.NaN : Number(value)
    const hint = bare >= 0 ? `add the percent sign: ${bare > 0 && bare < 1 ? bare * 100 : bare}%` : undefined
    return wrongKind(node, `a percentage as in 50%${orWords(kind.words)}`, reporter, hint)
  }
  if (percent >= kind.min && percent <= kind.max) return percent
  reporter.problems.error(node.at, `${lastKey(node.at)} is ${kind.min}% to ${kind.max}%, not ${value}`)
  return undefined
}

function readRate(node: Node, value: Scalar, kind: Kind & { type: 'rate' }, reporter: Reporter): unknown {
  const rate = typeof value === 'string' ? parseRate(value) : null
  if (rate === null) {
    const meant = typeof value === 'string' ? suggestRate(value) : null
    const unit = typeof value === 'number' ? `add the unit: ${value}/s or ${value}/m` : undefined
    const hint = meant === null ? unit : `write ${meant}`
    return wrongKind(node, `a rate as in 100/s, 30/m or 1000/h${orWords(kind.words)}`, reporter, hint)
  }
  if (rate > 0) return rate
  reporter.problems.error(node.at, `${lastKey(node.at)} is more than 0, not ${value}`)
  return undefined
}
