/**
 * The filters of one exchange, phase by phase. Made only where a route has filters.
 *
 * Invariant: what the attempt phase changes holds for one try. Each try begins with the request as the request phase
 * has left it, so that nothing piles up over retries.
 */
import type { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Filter, FilterExchange } from '../../model/filter.ts'
import { Fields } from '../../wire/fields.ts'
import type { Events } from '../seam/services.ts'
import { answerOf, type BodyUnderWay, nothingNow, nothingOf } from './filter-answer.ts'
import { runDone, runFilters } from './filter-run.ts'
import { filterView, type Viewed } from './filter-view.ts'
import type { OwnAnswer } from './respond.ts'

/** What becomes of a phase that may wait. */
export interface PhaseCalls {
  /** The phase is over, and none has answered */
  finished(): void
  /** Of the request phase only */
  answered(answer: OwnAnswer): void
  waits(filter: Filter): void
  /** Wraps what goes on after a promise */
  resumed(next: () => void): void
  failed(filter: Filter, error: unknown): void
}

/** The request as the request phase has left it. */
type Before = {
  readonly lines: string
  readonly forwardText: string
  readonly hostField: string | null
  readonly forwardPath: string
  readonly forwardQuery: string
}

export class FilterPhases {
  private readonly exchange: Viewed
  private readonly view: FilterExchange
  private before: Before | null = null
  private readonly body: BodyUnderWay = { reader: null }

  constructor(exchange: Viewed, connection: Connection) {
    this.exchange = exchange
    this.view = filterView(exchange, connection)
  }

  request(filters: readonly Filter[], calls: PhaseCalls): void {
    const { view, body } = this
    runFilters<OwnAnswer | null>(filters, {
      call: filter => answerOf(filter.request?.(view), body),
      took: answer => {
        if (answer !== null) calls.answered(answer)
        return answer !== null
      },
      finished: () => calls.finished(),
      failed: (error, filter) => calls.failed(filter, error),
      waiting: filter => calls.waits(filter),
      later: next => calls.resumed(next),
    })
  }

  /** @returns the filter that has failed, or null */
  attempt(filters: readonly Filter[]): { readonly filter: Filter; readonly error: unknown } | null {
    this.beginTry()
    for (const filter of filters) {
      try {
        nothingNow('attempt', filter.attempt?.(this.view))
      } catch (error) {
        return { filter, error }
      }
    }
    return null
  }

  response(filters: readonly Filter[], calls: PhaseCalls): void {
    const { view } = this
    runFilters<void>(filters, {
      call: filter => nothingOf('response', filter.response?.(view)),
      took: () => false,
      finished: () => calls.finished(),
      failed: (error, filter) => calls.failed(filter, error),
      waiting: filter => calls.waits(filter),
      later: next => calls.resumed(next),
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
      const { head, forwardText, hostField, forwardPath, forwardQuery } = exchange
      this.before = { lines: head.fields.text, forwardText, hostField, forwardPath, forwardQuery }
      return
    }
    exchange.head.fields = new Fields(before.lines)
    exchange.forwardText = before.forwardText
    exchange.hostField = before.hostField
    exchange.forwardPath = before.forwardPath
    exchange.forwardQuery = before.forwardQuery
  }
}
