/** A gateway that runs in this process alone, as commands see it. */
import type { Gateway } from '../gateway/gateway.ts'
import { processMetrics } from '../observe/process-metrics.ts'
import type { Running } from './command.ts'

export const runningHere = (gateway: Gateway): Running => ({
  gateway,
  worker: 1,
  gatewayPid: process.pid,
  startedAt: Date.now(),
  metrics: () => processMetrics(gateway.metrics, 1),
  reload: () => gateway.apply(null),
  drain: () => void gateway.drain(),
})
