/**
 * Requests as metrics. They are counted whether or not a log is written; times are there while somebody reads them. Labels
 * come from the configuration: a host that no site has is never one, and neither is a path. The cells of a route are looked
 * up with its first request, so that each further one is some additions.
 *
 * A new metric of requests is a constant here and an addition in `request`.
 */
import {
  type Cell,
  counter,
  type HistogramCell,
  histogram,
  type Metrics,
  secondsBuckets,
} from '../model/metrics.ts'
import type { RefusedRequest, RequestRecord } from '../model/records.ts'

const classes = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

const requestsTotal = counter(
  'sallyport_requests_total',
  'Requests by status class; none if the client got no response. Site and route are empty if none matched.',
  ['site', 'route', 'protocol', 'class'],
)
const requestSeconds = histogram(
  'sallyport_request_seconds',
  'Time from the head of a request to the end of its exchange. A WebSocket or other tunnel counts with all its life.',
  secondsBuckets,
  ['site', 'route'],
)
const firstByteSeconds = histogram(
  'sallyport_upstream_first_byte_seconds',
  'Time from a request that was sent to a backend to the response head, for the attempt whose response was used.',
  secondsBuckets,
  ['upstream'],
)

const retriesTotal = counter(
  'sallyport_upstream_retries_total',
  'Attempts beyond the first of a request, by the upstream that was tried again.',
  ['upstream'],
)

type Named = { readonly name: string }

/** What the requests of one route are counted in, or those of a site that no route takes. */
class RouteCells {
  private readonly metrics: Metrics
  private readonly site: string
  private readonly route: string
  private readonly byClass: (Cell | undefined)[] = []
  private ownSeconds: HistogramCell | null = null

  constructor(metrics: Metrics, site: string, route: string) {
    this.metrics = metrics
    this.site = site
    this.route = route
  }

  /** @param status 0 where there was no answer */
  answered(http: number, status: number): void {
    // A client takes what is above 599 for one of these (RFC 9110 section 15).
    const hundreds = Math.min(5, Math.floor(status / 100))
    const at = hundreds + (http === 2 ? classes.length : 0)
    const cell = this.byClass[at]
    if (cell === undefined) this.first(at).value++
    else cell.value++
  }

  get seconds(): HistogramCell {
    this.ownSeconds ??= this.metrics.of(requestSeconds, this.site, this.route)
    return this.ownSeconds
  }

  private first(at: number): Cell {
    const protocol = at < classes.length ? 'http/1' : 'http/2'
    const cell = this.metrics.of(
      requestsTotal,
      this.site,
      this.route,
      protocol,
      classes[at % classes.length] as string,
    )
    this.byClass[at] = cell
    return cell
  }
}

type UpstreamCells = { readonly name: string; readonly firstByte: HistogramCell; readonly retries: Cell }

export class RequestMetrics {
  private readonly metrics: Metrics
  private readonly known = new WeakMap<Named, RouteCells>()
  private readonly nowhere: RouteCells
  private lastOwner: Named | null = null
  private lastCells: RouteCells
  private lastUpstream: UpstreamCells | null = null

  constructor(metrics: Metrics) {
    this.metrics = metrics
    metrics.declare(requestsTotal, requestSeconds, firstByteSeconds, retriesTotal)
    this.nowhere = new RouteCells(metrics, '', '')
    this.lastCells = this.nowhere
  }

  request(record: RequestRecord): void {
    const { startedAt, sentAt, headAt, attempts } = record
    const cells = this.cellsOf(record.site, record.route)
    cells.answered(record.head.version, record.status)
    const upstream = attempts.upstreamName === null ? null : this.upstream(attempts.upstreamName)
    if (upstream !== null && attempts.count > 1) upstream.retries.value += attempts.count - 1
    if (startedAt === 0) return
    cells.seconds.observe((record.endedAt - startedAt) / 1000)
    if (upstream !== null && headAt > 0) upstream.firstByte.observe((headAt - sentAt) / 1000)
  }

  refusedRequest({ http, status, afterDone }: RefusedRequest): void {
    if (!afterDone) this.nowhere.answered(http, status)
  }

  private cellsOf(site: Named | null, route: Named | null): RouteCells {
    const owner = route ?? site
    if (owner === null) return this.nowhere
    if (owner === this.lastOwner) return this.lastCells
    let cells = this.known.get(owner)
    if (cells === undefined) {
      cells = new RouteCells(this.metrics, site?.name ?? '', route?.name ?? '')
      this.known.set(owner, cells)
    }
    this.lastOwner = owner
    this.lastCells = cells
    return cells
  }

  private upstream(name: string): UpstreamCells {
    if (this.lastUpstream?.name === name) return this.lastUpstream
    const { metrics } = this
    const cells = { name, firstByte: metrics.of(firstByteSeconds, name), retries: metrics.of(retriesTotal, name) }
    this.lastUpstream = cells
    return cells
  }
}
