/** The metrics of one process, which the process with the admin listener asks the others for. */
import type { ProcessMetrics } from '../../observe/process-metrics.ts'
import type { Command } from '../command.ts'
import { nothing } from '../input.ts'

export const metrics: Command<null, ProcessMetrics, ProcessMetrics[]> = {
  name: 'metrics',
  role: 'view',
  asks: 'every',
  input: nothing,
  run: running => running.metrics(),
  merge: replies => replies.map(({ ok }) => ok).filter(each => each !== undefined),
}
