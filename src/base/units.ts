/**
 * Durations and sizes as people write them: `250ms 30s 5m 12h 1d`, `512b 16kb 1mb 2gb` (1kb is 1024 bytes).
 * Whole numbers with one unit; a size may be a plain number of bytes, a duration may not: seconds or milliseconds?
 */

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeUnits = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 } as const

/** The longest duration accepted: a timer holds 2^31 - 1 ms and fires at once when given more. */
export const maxDurationMs = 24 * durationUnits.d

/** For messages and the JSON Schema. */
export const durationPattern = '[0-9]+(ms|s|m|h|d)'
export const sizePattern = '[0-9]+([bB]|[kKmMgGtT][bB])?'

/** Milliseconds, or null where the text is not a duration. The caller checks the range. */
export function parseDuration(text: string): number | null {
  const found = /^([0-9]{1,12})(ms|s|m|h|d)$/.exec(text)
  return found ? Number(found[1]) * durationUnits[found[2] as keyof typeof durationUnits] : null
}

/** Bytes, or null where the text is not a size or is past 2^53. */
export function parseSize(text: string): number | null {
  const found = /^([0-9]{1,15})([kmgt]?b)?$/i.exec(text)
  if (!found) return null
  const bytes = Number(found[1]) * sizeUnits[(found[2] ?? 'b').toLowerCase() as keyof typeof sizeUnits]
  return Number.isSafeInteger(bytes) ? bytes : null
}

const durationWords: readonly (readonly [RegExp, keyof typeof durationUnits])[] = [
  [/^(ms|msecs?|millis(econds?)?)$/i, 'ms'],
  [/^(s|secs?|seconds?)$/i, 's'],
  [/^(m|mins?|minutes?)$/i, 'm'],
  [/^(h|hrs?|hours?)$/i, 'h'],
  [/^(d|days?)$/i, 'd'],
]

const perUnits = { s: 1, m: 60, h: 3600, d: 86_400 } as const

export const percentPattern = '[0-9]+(\\.[0-9]+)?%'
export const ratePattern = '[0-9]+(\\.[0-9]+)?/(s|m|h|d)'

/** `50%` is 50, or null where the text is not a percentage. */
export function parsePercent(text: string): number | null {
  const found = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)%$/.exec(text)
  return found ? Number(found[1]) : null
}

/** How many a second: `100/s` is 100, `30/m` is 0.5; or null where the text is not a rate. */
export function parseRate(text: string): number | null {
  const found = /^([0-9]{1,12}(?:\.[0-9]{1,9})?)\/(s|m|h|d)$/.exec(text)
  return found ? Number(found[1]) / perUnits[found[2] as keyof typeof perUnits] : null
}

/** What somebody who wrote `100 rps`, `100/sec` or `30 per minute` meant, or null. For hints only. */
export function suggestRate(text: string): string | null {
  const found = /^([0-9]+(?:\.[0-9]+)?) *(?:(rps)|(?:\/|per) *([A-Za-z]+))$/i.exec(text.trim())
  if (!found) return null
  const unit = found[2] ? 's' : durationWords.find(([form]) => form.test(found[3] as string))?.[1]
  return unit === undefined || unit === 'ms' ? null : `${found[1]}/${unit}`
}

/** What somebody who wrote `5min`, `1.5s`, `1h30m` or `30 seconds` meant, or null. For hints only. */
export function suggestDuration(text: string): string | null {
  const parts = [...text.trim().matchAll(/([0-9]+(?:\.[0-9]+)?) *([A-Za-z]+) */g)]
  if (parts.length === 0 || parts.length > 5 || parts.map(([part]) => part).join('') !== text.trim()) return null
  let ms = 0
  for (const [, amount, word] of parts) {
    const unit = durationWords.find(([form]) => form.test(word as string))?.[1]
    if (unit === undefined) return null
    ms += Number(amount) * durationUnits[unit]
  }
  return Number.isSafeInteger(ms) && ms > 0 ? formatDuration(ms) : null
}

/** What somebody who wrote `200M`, `1.5gb`, `64KiB` or `10 mb` meant, or null. For hints only. */
export function suggestSize(text: string): string | null {
  const found = /^([0-9]+(?:\.[0-9]+)?) *([kmgt]?)(?:i?b(?:ytes)?)?$/i.exec(text.trim())
  if (!found) return null
  const bytes = Number(found[1]) * sizeUnits[`${(found[2] as string).toLowerCase()}b` as keyof typeof sizeUnits]
  return Number.isSafeInteger(bytes) && bytes > 0 ? formatSize(bytes) : null
}

/** The shortest exact spelling: `formatDuration(90_000)` is `90s`. */
export function formatDuration(ms: number): string {
  return format(ms, durationUnits)
}

/** The shortest exact spelling: `formatSize(16_384)` is `16kb`. */
export function formatSize(bytes: number): string {
  return format(bytes, sizeUnits)
}

function format(amount: number, units: Readonly<Record<string, number>>): string {
  let [name, size] = Object.entries(units)[0]!
  for (const [nextName, nextSize] of Object.entries(units)) {
    if (amount !== 0 && amount % nextSize === 0) [name, size] = [nextName, nextSize]
  }
  return `${amount / size}${name}`
}
