/** The counts of all processes of a gateway as metrics: a sample for each, by its number, so that one that starts again
 * counts from zero without the others' counts being in doubt. */
import { ownVersion } from '../base/version.ts'
import { family, labelText, type MetricType, type Sample } from './exposition.ts'
import type { ProcessMetrics } from './process-metrics.ts'

const classes = ['none', '1xx', '2xx', '3xx', '4xx', '5xx']

type Value = (process: ProcessMetrics) => number
type Family = readonly [name: string, type: MetricType, help: string, value: Value]

const families: readonly Family[] = [
  ['sallyport_connections_open', 'gauge', 'Connections that are open now.', each => each.connections],
  ['sallyport_connections_accepted_total', 'counter', 'Connections that were accepted.', each => each.accepted],
  ['sallyport_draining', 'gauge', '1 once the process takes no new work.', each => Number(each.draining)],
  [
    'sallyport_snapshot_version',
    'gauge',
    'Configurations that were in force, with this one.',
    each => each.snapshot,
  ],
  [
    'sallyport_last_reload_failed',
    'gauge',
    '1 where the configuration could not be put into force at the last try.',
    each => Number(each.reloads.lastFailed),
  ],
  ['sallyport_process_resident_memory_bytes', 'gauge', 'Memory in use.', each => each.rssBytes],
  ['sallyport_process_cpu_seconds_total', 'counter', 'User and system time.', each => each.cpuSeconds],
  [
    'sallyport_process_start_time_seconds',
    'gauge',
    'When the process started, seconds since 1970.',
    each => each.startedAt / 1000,
  ],
]

/** @param wanted how many processes there should be */
export function gatewayMetrics(processes: readonly ProcessMetrics[], wanted: number): string {
  const of = ({ worker }: ProcessMetrics, ...more: [string, string][]) =>
    labelText([['worker', String(worker)], ...more])
  const every = (samples: (each: ProcessMetrics) => Sample[]) => processes.flatMap(samples)
  const one = (value: number): Sample[] => [{ labels: '', value }]
  const unreachable = Math.max(0, wanted - processes.length)
  let text = family(
    'sallyport_build_info',
    'gauge',
    'Version and runtime; always 1.',
    every(each => [{ labels: of(each, ['version', ownVersion], ['runtime', each.runtime]), value: 1 }]),
  )
  text += family('sallyport_workers', 'gauge', 'Processes that there should be.', one(wanted))
  text += family(
    'sallyport_workers_unreachable',
    'gauge',
    'Processes that did not answer in time: their samples are missing here.',
    one(unreachable),
  )
  for (const [name, type, help, value] of families)
    text += family(
      name,
      type,
      help,
      every(each => [{ labels: of(each), value: value(each) }]),
    )
  text += family(
    'sallyport_handshakes_failed_total',
    'counter',
    'Connections that were refused or failed before they carried anything, by code of docs/errors.md.',
    every(each =>
      Object.entries(each.failedHandshakes).map(([error, value]) => ({
        labels: of(each, ['error', error]),
        value,
      })),
    ),
  )
  text += family(
    'sallyport_requests_total',
    'counter',
    'Requests by class of their status, none where the client got no answer. Only with the access log on.',
    every(each =>
      (each.requests ?? []).map((value, at) => ({ labels: of(each, ['class', classes[at] as string]), value })),
    ),
  )
  text += family(
    'sallyport_reloads_total',
    'counter',
    'Reloads of the configuration.',
    every(each => [
      { labels: of(each, ['outcome', 'done']), value: each.reloads.done },
      { labels: of(each, ['outcome', 'failed']), value: each.reloads.failed },
    ]),
  )
  return text
}
