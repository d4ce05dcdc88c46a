/** Problem documents of a CA (RFC 7807, RFC 8555 section 6.7), and the IssueError that each becomes. */
import type { HttpAnswer } from '../base/http-request.ts'
import { IssueError, type IssueFailure } from '../model/issuer.ts'
import { retryAfterMs } from '../wire/retry-after.ts'
import { shownUrl } from './http.ts'

export type Problem = {
  /** Without its prefix: `badNonce`, `rateLimited`; empty where there was no problem document */
  readonly type: string
  readonly status: number
  readonly detail: string
  readonly subproblems: readonly { readonly type: string; readonly detail: string; readonly name: string }[]
}

const prefix = 'urn:ietf:params:acme:error:'
/** A CA that lists hundreds of names makes one sentence of the first few. */
const maxSubproblems = 10

/** Text of somebody else, fit for one line of a log. */
export function excerpt(text: unknown, length = 300): string {
  if (typeof text !== 'string') return ''
  const line = text
    .slice(0, length * 2)
    .replace(/[\x00-\x20\x7f-\x9f\u2028\u2029]+/g, ' ')
    .trim()
  return line.length > length ? `${line.slice(0, length - 3)}...` : line
}

/** From JSON of unknown shape; null where it is no problem document. */
export function parseProblem(value: unknown, status: number): Problem | null {
  if (typeof value !== 'object' || value === null) return null
  const { type, detail, subproblems } = value as Record<string, unknown>
  if (typeof type !== 'string' && typeof detail !== 'string') return null
  const list = Array.isArray(subproblems) ? subproblems.slice(0, maxSubproblems) : []
  return {
    type: typeOf(type),
    status,
    detail: excerpt(detail),
    subproblems: list
      .filter(one => typeof one === 'object' && one !== null)
      .map(one => ({
        type: typeOf(one.type),
        detail: excerpt(one.detail),
        name: excerpt(one.identifier?.value, 260),
      })),
  }
}

function typeOf(type: unknown): string {
  const text = excerpt(type, 200)
  return text.startsWith(prefix) ? text.slice(prefix.length) : text
}

/** One line for people. */
export function describeProblem(problem: Problem): string {
  const parts = [problem.detail, problem.type && `(${problem.type})`].filter(part => part !== '')
  const more = problem.subproblems.map(one => [one.name && `${one.name}:`, one.detail || one.type].join(' ').trim())
  return `${parts.join(' ') || `status ${problem.status}`}${more.length > 0 ? `: ${more.join('; ')}` : ''}`
}

/** What the CA complained about, where the error comes from a problem document. */
export function problemOf(error: unknown): Problem | null {
  const cause = error instanceof IssueError ? error.cause : null
  return typeof cause === 'object' && cause !== null && 'subproblems' in cause ? (cause as Problem) : null
}

/** Of an answer that is no success. */
export function problemError(what: string, answer: HttpAnswer, now = Date.now()): IssueError {
  const { status, headers } = answer
  const problem = parseProblem(jsonOrNull(answer.body), status) ?? {
    type: '',
    status,
    detail: '',
    subproblems: [],
  }
  const wait = retryAfterMs(headers, now)
  const retryAt = wait === null ? null : now + wait
  const kind = kindOf(problem)
  if (status >= 300 && status < 400) {
    const to = excerpt(headers.location ?? '')
    const message = `${what}: redirected${to && ` to ${shownUrl(to)}`}, which is not followed; give the final URL as the directory`
    return new IssueError('rejected', message, { cause: problem })
  }
  const said = problem.type === '' && problem.detail === '' ? `status ${status}` : describeProblem(problem)
  const action = problem.type === 'userActionRequired' ? userAction(value(answer, 'instance'), headers.link) : ''
  return new IssueError(kind, `${what}: ${said}${action}`, { retryAt, cause: problem })
}

/** What a CA found wrong when it looked at an answer of ours (RFC 8555 section 6.7). */
const lookedAt = new Set(['connection', 'dns', 'tls', 'incorrectResponse', 'caa'])

export function kindOf({ type, status }: Problem): IssueFailure {
  if (lookedAt.has(type)) return 'challenge'
  if (type === 'rateLimited' || status === 429) return 'rate-limited'
  // An order that is not ready and a nonce that is no good are conditions of the moment.
  if (type === 'serverInternal' || type === 'orderNotReady' || type === 'badNonce' || status >= 500)
    return 'unavailable'
  return 'rejected'
}

/** RFC 8555 section 6.7, `userActionRequired`: `instance` is a page for people; the terms may be linked. */
function userAction(instance: unknown, link: string | string[] | undefined): string {
  const terms = /<([^<>\s]{1,500})>\s*;\s*rel="?terms-of-service"?/.exec([link ?? ''].flat().join(', '))?.[1]
  const page = excerpt(instance) || excerpt(terms)
  return `; manual action is required${page && `: visit ${page}`}; the order is then tried again`
}

function value(answer: HttpAnswer, key: string): unknown {
  return (jsonOrNull(answer.body) as Record<string, unknown> | null)?.[key]
}

export function jsonOrNull(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return null
  }
}
