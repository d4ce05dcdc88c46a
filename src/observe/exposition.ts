/**
 * Prometheus' text exposition format 0.0.4: families of samples as text. Label values come from certificates and files,
 * so that they may hold anything; what is written here is always one line a sample, and valid UTF-8 once encoded.
 */
import { type FamilyData, labelValue, type MetricType } from '../model/metrics.ts'

type Labels = readonly (readonly [name: string, value: string])[]
/** Labels as labelText gives them */
type Sample = { readonly labels: string; readonly value: number }

export const contentType = 'text/plain; version=0.0.4; charset=utf-8'

function head(name: string, type: MetricType, help: string): string {
  const about = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return `# HELP ${name} ${about}\n# TYPE ${name} ${type}\n`
}

/** One family with its HELP and TYPE; empty without samples. */
function family(name: string, type: MetricType, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return ''
  let text = head(name, type, help)
  for (const { labels, value } of samples) text += `${name}${labels} ${numberText(value)}\n`
  return text
}

/** A family of a registry; of a histogram the cumulative counts, their sum and their number. */
export function familyText(data: FamilyData): string {
  const { name, type, help, labels, buckets, samples } = data
  const named = (values: readonly string[], ...more: [string, string][]) =>
    labelText([...labels.map((label, at): [string, string] => [label, values[at] ?? '']), ...more])
  if (type !== 'histogram')
    return family(
      name,
      type,
      help,
      samples.map(({ labels: values, value }) => ({ labels: named(values), value })),
    )
  if (samples.length === 0) return ''
  let text = head(name, type, help)
  for (const { labels: values, value, counts = [] } of samples) {
    let below = 0
    for (const [at, count] of counts.entries()) {
      below += count
      text += `${name}_bucket${named(values, ['le', numberText(buckets[at] ?? Number.POSITIVE_INFINITY)])} ${below}\n`
    }
    text += `${name}_sum${named(values)} ${numberText(value)}\n${name}_count${named(values)} ${below}\n`
  }
  return text
}

/** `{a="b",c="d"}`, or nothing where there are no labels. */
function labelText(labels: Labels): string {
  if (labels.length === 0) return ''
  return `{${labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',')}}`
}

const escapeLabel = (value: string): string =>
  labelValue(value).replace(/[\\"\n]/g, each => (each === '\n' ? '\\n' : `\\${each}`))

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}
