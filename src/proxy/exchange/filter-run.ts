/**
 * Runs the filters of one phase in order. Synchronous ones cost no promise; where one answers with a promise, `waiting`
 * is told and the rest goes on when it settles.
 */
import type { ProxyError } from '../../base/errors.ts'
import type { Filter, FilterExchange } from '../../model/filter.ts'
import type { Events } from '../../model/records.ts'
import { nothingNow } from './filter-answer.ts'

type Run<T> = {
  /** What a filter does in this phase */
  readonly call: (filter: Filter) => T | Promise<T>
  /** Takes an answer; `true` ends the phase */
  readonly took: (answer: T) => boolean
  readonly finished: () => void
  readonly failed: (error: unknown, filter: Filter) => void
  readonly waiting: (filter: Filter) => void
  /** Wraps what goes on after a promise */
  readonly later: (next: () => void) => void
}

export function runFilters<T>(filters: readonly Filter[], run: Run<T>, from = 0): void {
  let filter = filters[from] as Filter
  try {
    for (let at = from; at < filters.length; at++) {
      filter = filters[at] as Filter
      const answer = run.call(filter)
      if (answer instanceof Promise) {
        const waited = filter
        run.waiting(waited)
        answer.then(
          settled => run.later(() => run.took(settled) || runFilters(filters, run, at + 1)),
          error => run.later(() => run.failed(error, waited)),
        )
        return
      }
      if (run.took(answer)) return
    }
  } catch (error) {
    run.failed(error, filter)
    return
  }
  run.finished()
}

/** The last phase: every filter is told, whatever the others do. */
export function runDone(
  filters: readonly Filter[],
  view: FilterExchange,
  error: ProxyError | null,
  events: Events,
): void {
  for (const filter of filters) {
    try {
      nothingNow('done', filter.done?.(view, error))
    } catch (thrown) {
      events.fault(faultPlace(filter), thrown)
    }
  }
}

/** Where a fault record says that a filter has failed. */
export const faultPlace = (filter: Filter): string => `filter ${filter.name}`
