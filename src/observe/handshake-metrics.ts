/** Handshakes of clients as metrics. */
import { counter, histogram, type Metrics, secondsBuckets } from '../model/metrics.ts'
import type { FailedHandshake, ObservedConnection } from '../model/records.ts'

const failedTotal = counter(
  'sallyport_handshakes_failed_total',
  'Connections that were refused or failed before carrying any data, by error code of docs/errors.md.',
  ['error'],
)
const seconds = histogram(
  'sallyport_handshake_seconds',
  'Time from accepting a connection to the end of its TLS handshake.',
  secondsBuckets,
  ['listener', 'resumed'],
)

export class HandshakeMetrics {
  private readonly metrics: Metrics

  constructor(metrics: Metrics) {
    this.metrics = metrics
    metrics.declare(failedTotal, seconds)
  }

  handshake({ listenerPort, link, handshakeMs }: ObservedConnection): void {
    const resumed = link.tls?.resumed === true ? 'yes' : 'no'
    this.metrics.of(seconds, String(listenerPort), resumed).observe(handshakeMs / 1000)
  }

  failedHandshake({ error }: FailedHandshake): void {
    this.metrics.of(failedTotal, error).value++
  }
}
