/**
 * The filters of one exchange, phase by phase. Made only where a route has filters.
 *
 * Invariant: what the attempt phase changes holds for one try. Each try begins with the request as the request phase
 * has left it, so that nothing piles up over retries.
 */
import type { ProxyError } from '../base/errors.ts'
import type { Connection } from '../model/connection.ts'
import type { Filter, FilterExchange } from '../model/filter.ts'
import type { Route } from '../model/route.ts'
import { Fields } from '../wire/fields.ts'
import { answerOf, type BodyUnderWay, nothingNow, nothingOf } from './filter-answer.ts'
import { runDone, runFilters } from './filter-run.ts'
import { filterView, type Viewed } from './filter-view.ts'
import type { OwnAnswer } from './respond.ts'
import type { Events } from './services.ts'

/** The exchange that they belong to. */
export interface FilteredExchange extends Viewed {
  readonly route: Route | null
  /** The request phase is over, and none has answered */
  requestFiltered(): void
  filterAnswered(answer: OwnAnswer): void
  responseFiltered(): void
  filterWaits(filter: Filter): void
  /** Wraps what goes on after a promise */
  resumed(next: () => void): void
  filterFailed(filter: Filter, error: unknown): void
}

/** The request as the request phase has left it. */
type Before = {
  readonly lines: string
  readonly forwardText: string
  readonly hostField: string | null
  readonly path: string
  readonly query: string
}

export class FilterPhases {
  private readonly exchange: FilteredExchange
  private readonly view: FilterExchange
  private before: Before | null = null
  private readonly body: BodyUnderWay = { reader: null }

  constructor(exchange: FilteredExchange, connection: Connection) {
    this.exchange = exchange
    this.view = filterView(exchange, connection)
  }

  request(filters: readonly Filter[]): void {
    const { exchange, view, body } = this
    runFilters<OwnAnswer | null>(filters, {
      call: filter => answerOf(filter.request?.(view), body),
      took: answer => {
        if (answer !== null) exchange.filterAnswered(answer)
        return answer !== null
      },
      finished: () => exchange.requestFiltered(),
      failed: (error, filter) => exchange.filterFailed(filter, error),
      waiting: filter => exchange.filterWaits(filter),
      later: next => exchange.resumed(next),
    })
  }

  /** @returns false when one has ended the exchange */
  attempt(filters: readonly Filter[]): boolean {
    this.beginTry()
    for (const filter of filters) {
      try {
        nothingNow('attempt', filter.attempt?.(this.view))
      } catch (error) {
        this.exchange.filterFailed(filter, error)
        return false
      }
    }
    return true
  }

  response(filters: readonly Filter[]): void {
    const { exchange, view } = this
    runFilters<void>(filters, {
      call: filter => nothingOf('response', filter.response?.(view)),
      took: () => false,
      finished: () => exchange.responseFiltered(),
      failed: (error, filter) => exchange.filterFailed(filter, error),
      waiting: filter => exchange.filterWaits(filter),
      later: next => exchange.resumed(next),
    })
  }

  /** The exchange is over: a body that is still read for it has no use any more. */
  done(filters: readonly Filter[], error: ProxyError | null, events: Events): void {
    this.body.reader?.cancel().catch(() => {})
    this.body.reader = null
    runDone(filters, this.view, error, events)
  }

  private beginTry(): void {
    const { exchange, before } = this
    if (before === null) {
      const { head, forwardText, hostField, path, query } = exchange
      this.before = { lines: head.fields.text, forwardText, hostField, path, query }
      return
    }
    exchange.head.fields = new Fields(before.lines)
    exchange.forwardText = before.forwardText
    exchange.hostField = before.hostField
    exchange.path = before.path
    exchange.query = before.query
  }
}
