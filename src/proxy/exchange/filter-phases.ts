/**
 * The filters of one exchange, phase by phase. Made only where a route has filters.
 *
 * Invariant: what the attempt phase changes holds for one try. Each try begins with the request as the request phase
 * has left it, so that nothing piles up over retries.
 */
import type { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Filter, FilterExchange } from '../../model/filter.ts'
import type { Events } from '../../model/records.ts'
import { Fields } from '../../wire/fields.ts'
import type { NamedTransform } from './body-chain.ts'
import { answerOf, type BodyUnderWay, nothingNow, nothingOf, transformOf } from './filter-answer.ts'
import { runDone, runFilters } from './filter-run.ts'
import { filterView, type Viewed } from './filter-view.ts'
import { FilterPromises, type LeavesBehind } from './left-behind.ts'
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
  /** Of the request phase only */
  readBody?(filter: Filter, limit: number, past: 'refuse' | 'prefix'): Promise<Uint8Array>
}

type Failed = { readonly filter: Filter; readonly error: unknown }

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
  readonly promises: FilterPromises
  /** Whose request phase it is */
  private current: Filter | null = null
  private calls: PhaseCalls | null = null

  constructor(exchange: Viewed & { readonly deadline: LeavesBehind }, connection: Connection) {
    this.exchange = exchange
    this.promises = new FilterPromises(connection, exchange.deadline)
    this.view = filterView(exchange, connection, (limit, past = 'refuse') => this.readBody(limit, past))
  }

  request(filters: readonly Filter[], calls: PhaseCalls): void {
    const { view, body } = this
    this.calls = calls
    runFilters<OwnAnswer | null>(filters, {
      call: filter => {
        this.current = filter
        return answerOf(filter.request?.(view), body)
      },
      took: answer => {
        if (answer !== null) calls.answered(answer)
        return answer !== null
      },
      finished: () => calls.finished(),
      failed: (error, filter) => calls.failed(filter, error),
      waiting: filter => this.waits(filter, calls),
      later: next => this.resumed(next, calls),
    })
  }

  /** @returns the filter that has failed, or null */
  attempt(filters: readonly Filter[]): Failed | null {
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

  /** @returns what the filters want a body to go through, or the filter that has failed */
  transforms(filters: readonly Filter[], phase: 'requestBody' | 'responseBody'): NamedTransform[] | Failed {
    const found: NamedTransform[] = []
    for (const filter of filters) {
      try {
        const transform = transformOf(phase, filter[phase]?.(this.view))
        if (transform !== null) found.push({ filter, transform })
      } catch (error) {
        return { filter, error }
      }
    }
    return found
  }

  response(filters: readonly Filter[], calls: PhaseCalls): void {
    const { view } = this
    runFilters<void>(filters, {
      call: filter => nothingOf('response', filter.response?.(view)),
      took: () => false,
      finished: () => calls.finished(),
      failed: (error, filter) => calls.failed(filter, error),
      waiting: filter => this.waits(filter, calls),
      later: next => this.resumed(next, calls),
    })
  }

  /** The exchange is over: a body that is still read for it has no use any more. */
  done(filters: readonly Filter[], error: ProxyError | null, events: Events): void {
    this.body.reader?.cancel().catch(() => {})
    this.body.reader = null
    this.promises.over()
    runDone(filters, this.view, error, events)
  }

  private waits(filter: Filter, calls: PhaseCalls): void {
    this.promises.begins()
    calls.waits(filter)
  }

  private resumed(next: () => void, calls: PhaseCalls): void {
    this.promises.settles()
    calls.resumed(next)
  }

  private readBody(limit: number, past: 'refuse' | 'prefix'): Promise<Uint8Array> {
    const { calls, current } = this
    if (calls?.readBody && current) return calls.readBody(current, limit, past)
    return Promise.reject(new TypeError('readBody is for the request phase'))
  }

  private beginTry(): void {
    const { exchange, before } = this
    if (before === null) {
      const { head, forwardText, hostField, forwardPath, forwardQuery } = exchange
      this.before = { lines: head.fields.text, forwardText, hostField, forwardPath, forwardQuery }
      return
    }
    exchange.head.fields = new Fields(before.lines, undefined, exchange.head.fields.sent)
    exchange.forwardText = before.forwardText
    exchange.hostField = before.hostField
    exchange.forwardPath = before.forwardPath
    exchange.forwardQuery = before.forwardQuery
  }
}
