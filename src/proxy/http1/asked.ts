/** The endpoint that an HTTP/1.1 connection leads to, and what to say of one that closed too early. */
import { ProxyError } from '../../base/errors.ts'
import type { Lenient } from './lenient.ts'

export type Asked = {
  /** For errors */
  readonly label: string
  /** Null: its responses are strictly HTTP/1.1 */
  readonly lenient: Lenient | null
}

/** @param how `answered`: a byte of the response was seen; `reused`: the connection came from the pool */
export function cutError(
  { label }: Asked,
  cause: ProxyError | null,
  how: { readonly answered: boolean; readonly reused: boolean },
): ProxyError {
  if (cause?.code === 'MEMORY_BUDGET') return cause
  const why = cause === null ? '' : `: ${cause.message}`
  const from = cause ?? undefined
  if (how.answered)
    return new ProxyError('UPSTREAM_TRUNCATED', `${label} closed in the middle of its response${why}`, from)
  return how.reused
    ? new ProxyError('STALE_CONNECTION', `${label} closed a pooled connection as it was used${why}`, from)
    : new ProxyError('UPSTREAM_RESET', `${label} closed before it answered${why}`, from)
}
