/**
 * What is safe to try again, for exchanges and for connections of layer 4 alike: the rows of the errors (base/errors.ts), compiled
 * once. Another try is made only where the error's row allows it, the method is idempotent if the request may have been seen,
 * none of the answer has come, and the request can be sent once more from its first byte.
 */
import { type ErrorCode, errorTable, type Retry } from '../../base/errors.ts'

type RetryTerms = {
  /** The first one included */
  readonly tries: number
  /** The same where endpoints refuse at once, which takes no time; a set of a hundred dead endpoints is not tried to its end */
  readonly refusals: number
}

/** `same`: the endpoint is well, only the connection had aged: once more there, on a new one */
type Again = 'no' | 'other' | 'same'

export type RetryPolicy = {
  /**
   * @param count tries so far, this one included
   * @param method null where there is none to be idempotent
   * @param replayable nothing of the answer has come, and all of the request can be sent again
   */
  again(code: ErrorCode, count: number, method: string | null, replayable: boolean): Again
}

/** RFC 9110 section 9.2.2 */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** No connection came about, and the endpoint is the one that must change for it. Another cause, such as a want of descriptors, is ours. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'CONNECT_REFUSED',
  'CONNECT_TIMEOUT',
  'NAME_NOT_RESOLVED',
  'UPSTREAM_TLS',
])

const aged: ReadonlySet<ErrorCode> = new Set(['STALE_CONNECTION', 'UPSTREAM_GOAWAY'])

/** Whether the endpoint has refused a connection, and is tried last for a while. */
export const isRefusal = (code: ErrorCode): boolean => refusals.has(code)

export function compileRetry({ tries, refusals: most }: RetryTerms): RetryPolicy {
  const rules = new Map<ErrorCode, Rule>()
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    const { retry } = errorTable[code] as { readonly retry: Retry }
    if (retry === 'no') continue
    rules.set(code, {
      most: code !== 'CONNECT_TIMEOUT' && refusals.has(code) ? most : tries,
      onlyIdempotent: retry === 'idempotent',
      again: aged.has(code) ? 'same' : 'other',
    })
  }
  return {
    again(code, count, method, replayable) {
      const rule = rules.get(code)
      if (rule === undefined || !replayable || count >= rule.most) return 'no'
      if (rule.onlyIdempotent && (method === null || !idempotent.has(method))) return 'no'
      return rule.again
    },
  }
}

type Rule = { readonly most: number; readonly onlyIdempotent: boolean; readonly again: Again }
