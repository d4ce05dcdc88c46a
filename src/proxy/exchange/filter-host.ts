/** The exchange that filters run for, and what becomes of one whose filter has failed. */
import { messageOf, ProxyError } from '../../base/errors.ts'
import type { Filter } from '../../model/filter.ts'
import type { Events } from '../../model/records.ts'
import type { Sink } from '../../model/stage.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import type { ExchangeDeadline } from './exchange-deadline.ts'
import type { FilterPhases } from './filter-phases.ts'
import { faultPlace } from './filter-run.ts'
import type { HoldingExchange } from './hold-body.ts'
import type { OwnAnswer } from './respond.ts'

/** An exchange whose filters can be run. */
export interface FilterHost extends HoldingExchange {
  readonly filterPhases: FilterPhases
  readonly deadline: ExchangeDeadline
  readonly services: { readonly events: Events }
  /** The answer is one of the gateway itself */
  readonly answersItself: boolean
  responseHead: ResponseHead | null
  responseBodyless: boolean
  pauseBody(): void
  resumed(next: () => void): void
  answerThrough(sink: Sink, answer: OwnAnswer): void
}

/** Records what a filter has thrown. @returns what ends its exchange */
export function filterFailed(host: FilterHost, filter: Filter, error: unknown): ProxyError {
  host.services.events.fault(faultPlace(filter), error)
  return new ProxyError('FILTER_FAILED', `${faultPlace(filter)}: ${messageOf(error)}`, error)
}
