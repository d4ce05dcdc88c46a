/** Requests and refused connections as metrics. They are counted whether or not a log is written. */
import { type Cell, counter, histogram, type Metrics } from '../model/metrics.ts'

const classes = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

const requestsTotal = counter(
  'sallyport_requests_total',
  'Requests by status class; none if the client got no response.',
  ['class'],
)
const handshakesFailed = counter(
  'sallyport_handshakes_failed_total',
  'Connections that were refused or failed before carrying any data, by error code of docs/errors.md.',
  ['error'],
)
const handshakeSeconds = histogram(
  'sallyport_handshake_seconds',
  'Time from accepting a connection to the end of its TLS handshake.',
  [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
)

export class RequestCounts {
  private readonly metrics: Metrics
  private readonly byClass: readonly Cell[]
  private readonly handshakes

  constructor(metrics: Metrics) {
    this.metrics = metrics
    this.byClass = classes.map(name => metrics.of(requestsTotal, name))
    this.handshakes = metrics.of(handshakeSeconds)
  }

  /** @param status 0 where there was no answer */
  answered(status: number): void {
    const at = Math.floor(status / 100)
    ;(this.byClass[at >= 1 && at <= 5 ? at : 0] as Cell).value++
  }

  handshakeDone(ms: number): void {
    this.handshakes.observe(ms / 1000)
  }

  handshakeFailed(error: string): void {
    this.metrics.of(handshakesFailed, error).value++
  }
}
