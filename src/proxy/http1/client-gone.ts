/** Why an exchange ends with its client's connection. */
import { ProxyError } from '../../base/errors.ts'

/** @param error what the link has seen; null: it ended in order */
export function clientGone(error: ProxyError | null): ProxyError {
  if (error?.code === 'MEMORY_BUDGET') return error
  const why = error?.message ?? 'the client closed its connection before the answer was complete'
  return new ProxyError('CLIENT_GONE', why, error ?? undefined)
}
