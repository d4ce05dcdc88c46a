/**
 * The metrics of all processes of a gateway as one page. Each sample carries the number of its worker: one that starts
 * again counts from zero, and a sum over workers made here would look like a counter that goes backwards.
 */
import { type FamilyData, gauge, type Metric } from '../model/metrics.ts'
import { familyText } from './exposition.ts'
import type { ProcessMetrics } from './process-metrics.ts'

const workers = gauge('sallyport_workers', 'Configured worker processes.')
const unreachable = gauge(
  'sallyport_workers_unreachable',
  'Worker processes that did not answer in time: their samples are missing here.',
)

/** Of the gateway as a whole: without a worker */
export const gatewayMetricsDefined: readonly Metric[] = [workers, unreachable]

/**
 * @param wanted how many processes there should be
 * @param whole families of the gateway as a whole
 */
export function gatewayMetrics(
  processes: readonly ProcessMetrics[],
  wanted: number,
  whole: readonly FamilyData[] = [],
): string {
  const missing = Math.max(0, wanted - processes.length)
  const own = [familyOf(workers, wanted), familyOf(unreachable, missing)]
  return [...own, ...merged(processes), ...whole].map(familyText).join('')
}

export const familyOf = (metric: Metric<'gauge'>, value: number): FamilyData => ({
  ...metric,
  samples: [{ labels: [], value }],
})

/** One family of each name, whose first label is the worker. Of two definitions the one of the first worker counts. */
function merged(processes: readonly ProcessMetrics[]): FamilyData[] {
  const families = new Map<string, FamilyData & { readonly samples: FamilyData['samples'][number][] }>()
  for (const { worker, families: own } of processes) {
    for (const { samples, ...about } of own) {
      const found = families.get(about.name)
      if (found !== undefined && !isSame(found, about)) continue
      const into = found ?? { ...about, labels: ['worker', ...about.labels], samples: [] }
      for (const sample of samples) into.samples.push({ ...sample, labels: [String(worker), ...sample.labels] })
      families.set(about.name, into)
    }
  }
  return [...families.values()]
}

const isSame = (found: FamilyData, { type, labels, buckets }: Omit<FamilyData, 'samples'>): boolean =>
  found.type === type && found.labels.slice(1).join() === labels.join() && found.buckets.join() === buckets.join()
