/** Handshakes of clients as metrics. */
import { counter, type HistogramCell, histogram, type Metrics, secondsBuckets } from '../model/metrics.ts'
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

/** The cells of a listener. */
type Seconds = { readonly full: HistogramCell; readonly resumed: HistogramCell }

export class HandshakeMetrics {
  private readonly metrics: Metrics
  private readonly byListener = new Map<number, Seconds>()

  constructor(metrics: Metrics) {
    this.metrics = metrics
    metrics.declare(failedTotal, seconds)
  }

  handshake({ listenerPort, link, handshakeMs }: ObservedConnection): void {
    const { full, resumed } = this.byListener.get(listenerPort) ?? this.cellsOf(listenerPort)
    ;(link.tls?.resumed === true ? resumed : full).observe(handshakeMs / 1000)
  }

  failedHandshake({ error }: FailedHandshake): void {
    this.metrics.of(failedTotal, error).value++
  }

  private cellsOf(port: number): Seconds {
    const of = (resumed: string) => this.metrics.of(seconds, String(port), resumed)
    const cells = { full: of('no'), resumed: of('yes') }
    this.byListener.set(port, cells)
    return cells
  }
}
