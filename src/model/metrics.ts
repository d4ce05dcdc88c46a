/**
 * Counters, gauges and histograms. A metric is defined beside the code that counts, as a constant, and that is the only
 * place that names it: the registry of a process gives the cell to count in, once, and counting is then an addition to a
 * number. A process hands its families on as plain data, which the admin listener merges over workers and prints.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram'

export type Metric<T extends MetricType = MetricType> = {
  readonly type: T
  /** By Prometheus' conventions: base units, counters end in `_total` */
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram, ascending, without infinity */
  readonly buckets: readonly number[]
}

export const counter = (name: string, help: string, labels: readonly string[] = []): Metric<'counter'> => ({
  type: 'counter',
  name,
  help,
  labels,
  buckets: [],
})

export const gauge = (name: string, help: string, labels: readonly string[] = []): Metric<'gauge'> => ({
  type: 'gauge',
  name,
  help,
  labels,
  buckets: [],
})

export const histogram = (
  name: string,
  help: string,
  buckets: readonly number[],
  labels: readonly string[] = [],
): Metric<'histogram'> => ({ type: 'histogram', name, help, labels, buckets })

/** For what takes from a millisecond to some seconds */
export const secondsBuckets: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** What a counter or gauge of one set of label values has come to. Whoever counts keeps it, and adds. */
export class Cell {
  value = 0
}

export class HistogramCell {
  sum = 0
  count = 0
  /** Not cumulative; the last is for what is beyond all bounds */
  readonly counts: number[]
  private readonly bounds: readonly number[]

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Array(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    const { bounds } = this
    let at = 0
    while (at < bounds.length && value > (bounds[at] as number)) at++
    this.counts[at] = (this.counts[at] as number) + 1
    this.count++
    this.sum += value
  }
}

type CellOf<T extends MetricType> = T extends 'histogram' ? HistogramCell : Cell

/** A family as data, to be sent between processes as JSON. */
export type FamilyData = {
  readonly name: string
  readonly type: MetricType
  readonly help: string
  readonly labels: readonly string[]
  readonly buckets: readonly number[]
  readonly samples: readonly SampleData[]
}

/** The value of a counter or gauge; of a histogram its counts by bucket, then their sum. */
export type SampleData = {
  readonly labels: readonly string[]
  readonly value: number
  readonly counts?: readonly number[]
}

/** Configurations may have thousands of sites and routes; beyond this many sets of values the rest is counted together. */
const setsAtMost: Readonly<Record<MetricType, number>> = { counter: 2_000, gauge: 2_000, histogram: 500 }
const others = 'other'

type Known = {
  readonly metric: Metric
  readonly cells: Map<string, { readonly labels: readonly string[]; readonly cell: Cell | HistogramCell }>
  read: (() => Iterable<SampleData>) | null
}

/** Longer ones would cost the scraper more than they tell it. */
const longestValue = 200

/**
 * A label's value as it is shown: cut, and without control characters (a bare CR ends a line for some readers) and halves of
 * surrogate pairs. Two sets of values that are shown alike must be one sample, or the whole scrape is spoilt.
 */
export function labelValue(value: string): string {
  const whole = value.isWellFormed() ? value : value.toWellFormed()
  const short = whole.length > longestValue ? `${cut(whole, longestValue - 3)}...` : whole
  return short.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/g, '\ufffd')
}

/** Not through the middle of a character. */
function cut(text: string, length: number): string {
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
}

/** The metrics of one gateway in one process. */
export class Metrics {
  readonly #known = new Map<string, Known>()

  /**
   * The cell for these label values, the same each time. Take it once and keep it where it is counted often.
   * @throws TypeError where the values are not as many as the labels, or two metrics have one name: mistakes of the code
   */
  of<T extends MetricType>(metric: Metric<T>, ...values: readonly string[]): CellOf<T> {
    if (values.length !== metric.labels.length)
      throw new TypeError(`${metric.name} has the labels ${metric.labels.join(', ') || 'none'}`)
    const { cells } = this.#family(metric)
    const shown = values.map(labelValue)
    const key = shown.join('\0')
    const known = cells.get(key)
    if (known !== undefined) return known.cell as CellOf<T>
    if (cells.size >= setsAtMost[metric.type] && values.some(value => value !== others))
      return this.of(metric, ...values.map(() => others))
    const cell = metric.type === 'histogram' ? new HistogramCell(metric.buckets) : new Cell()
    cells.set(key, { labels: shown, cell })
    return cell as CellOf<T>
  }

  /** Makes them known before there is anything to count. */
  declare(...metrics: readonly Metric[]): void {
    for (const metric of metrics) this.#family(metric)
  }

  /** All that this process may ever show. */
  defined(): Metric[] {
    return [...this.#known.values()].map(({ metric }) => metric)
  }

  /** For what is known anyway and need not be counted: it is read when somebody asks. */
  read(metric: Metric<'counter' | 'gauge'>, read: () => number | Iterable<SampleData>): void {
    this.#family(metric).read = () => {
      const found = read()
      return typeof found === 'number' ? [{ labels: [], value: found }] : found
    }
  }

  /** In the order in which they were first used. */
  families(): FamilyData[] {
    return [...this.#known.values()].map(({ metric, cells, read }) => {
      const { name, type, help, labels, buckets } = metric
      const counted = [...cells.values()].map(
        ({ labels, cell }): SampleData =>
          cell instanceof Cell
            ? { labels, value: cell.value }
            : { labels, value: cell.sum, counts: [...cell.counts] },
      )
      return { name, type, help, labels, buckets, samples: read === null ? counted : [...counted, ...read()] }
    })
  }

  #family(metric: Metric): Known {
    const known = this.#known.get(metric.name)
    if (known === undefined) {
      const made: Known = { metric, cells: new Map(), read: null }
      this.#known.set(metric.name, made)
      return made
    }
    if (known.metric !== metric) throw new TypeError(`there are two metrics named ${metric.name}`)
    return known
  }
}

/** Whether this came from another process of a gateway, perhaps of another version, as `families` gives it. */
export function areFamilies(value: unknown): value is FamilyData[] {
  return Array.isArray(value) && value.length <= 10_000 && value.every(isFamily)
}

function isFamily(value: unknown): boolean {
  const { name, type, help, labels, buckets, samples } = (value ?? {}) as Record<string, unknown>
  return (
    typeof name === 'string' &&
    /^[a-z_][a-z0-9_]*$/.test(name) &&
    (type === 'counter' || type === 'gauge' || type === 'histogram') &&
    typeof help === 'string' &&
    areStrings(labels) &&
    areNumbers(buckets) &&
    Array.isArray(samples) &&
    samples.every(
      (sample: Partial<SampleData> | null) =>
        areStrings(sample?.labels) &&
        sample?.labels?.length === (labels as string[]).length &&
        typeof sample?.value === 'number' &&
        (type === 'histogram'
          ? areNumbers(sample.counts) && sample.counts?.length === (buckets as number[]).length + 1
          : sample.counts === undefined),
    )
  )
}

const areStrings = (value: unknown): boolean =>
  Array.isArray(value) && value.every(each => typeof each === 'string')
const areNumbers = (value: unknown): boolean =>
  Array.isArray(value) && value.every(each => typeof each === 'number')
