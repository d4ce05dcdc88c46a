/**
 * Prometheus' text exposition format 0.0.4: families of samples as text. Label values come from certificates and files,
 * so that they may hold anything; what is written here is always one line a sample, and valid UTF-8 once encoded.
 */

export type MetricType = 'counter' | 'gauge'
export type Labels = readonly (readonly [name: string, value: string])[]
/** Labels as labelText gives them */
export type Sample = { readonly labels: string; readonly value: number }

export const contentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Longer ones would cost the scraper more than they tell it. */
const longestValue = 200

/** One family with its HELP and TYPE; empty without samples. */
export function family(name: string, type: MetricType, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return ''
  const about = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  let text = `# HELP ${name} ${about}\n# TYPE ${name} ${type}\n`
  for (const { labels, value } of samples) text += `${name}${labels} ${numberText(value)}\n`
  return text
}

/** `{a="b",c="d"}`, or nothing where there are no labels. */
export function labelText(labels: Labels): string {
  if (labels.length === 0) return ''
  return `{${labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',')}}`
}

/** Control characters (a bare CR ends a line for some readers) and halves of surrogate pairs are replaced. */
function escapeLabel(value: string): string {
  const whole = value.isWellFormed() ? value : value.toWellFormed()
  const short = whole.length > longestValue ? `${cut(whole, longestValue - 3)}...` : whole
  return short
    .replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/g, '\ufffd')
    .replace(/[\\"\n]/g, each => (each === '\n' ? '\\n' : `\\${each}`))
}

/** Not through the middle of a character. */
function cut(text: string, length: number): string {
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
