/**
 * Requests to HashiCorp Vault's HTTP API: one JSON object there, one back, within the bounds of base/http-request.ts. What
 * Vault says about an error is cut and cleaned before it stands in a message.
 */
import { messageOf } from '../base/errors.ts'
import { RequestError, request, type ServerTrust } from '../base/http-request.ts'
import { IssueError } from '../model/issuer.ts'
import { retryAfterMs } from '../wire/retry-after.ts'

export type VaultPlace = {
  /** `https://vault.internal:8200`, without a final slash */
  readonly address: string
  readonly namespace: string | null
  readonly trust: ServerTrust
}

export type VaultAnswer = {
  readonly status: number
  readonly body: Record<string, unknown>
  /** When it wishes to be asked again, in milliseconds since 1970 */
  readonly retryAt: number | null
}

const maxBytes = 1024 * 1024
const waitMs = 30_000

/** @param path behind `/v1/`. Throws IssueError `unavailable` or `cancelled`; statuses are the caller's to judge. */
export async function askVault(
  place: VaultPlace,
  path: string,
  body: object,
  token: string | null,
  signal: AbortSignal,
): Promise<VaultAnswer> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    // Refused by Vault where it is missing behind an agent that asks for it; means "not a browser that was tricked".
    'x-vault-request': 'true',
  }
  if (token !== null) headers['x-vault-token'] = token
  if (place.namespace !== null) headers['x-vault-namespace'] = place.namespace
  const {
    status,
    headers: fields,
    body: content,
  } = await request(`${place.address}/v1/${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    agent: null,
    ...place.trust,
    timeoutMs: waitMs,
    maxBytes,
    signal,
  }).catch(error => {
    const kind = error instanceof RequestError && error.cancelled ? 'cancelled' : 'unavailable'
    throw new IssueError(kind, `${place.address}: ${messageOf(error)}`, { cause: error })
  })
  const value = content.length === 0 ? {} : parse(content.toString('utf8'))
  // A proxy in front may answer errors in HTML: the status says enough.
  if (value === null && status < 400)
    throw new IssueError(
      'unavailable',
      `${place.address}: answered ${status} with something that is not a JSON object`,
    )
  const wait = retryAfterMs(fields, Date.now())
  return { status, body: value ?? {}, retryAt: wait === null ? null : Date.now() + wait }
}

function parse(content: string): Record<string, unknown> | null {
  try {
    const value = JSON.parse(content)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}

/** An answer that is no success, as the kind of failure that it is. */
export function failureOf(place: VaultPlace, what: string, { status, body, retryAt }: VaultAnswer): IssueError {
  const said = Array.isArray(body['errors'])
    ? body['errors'].filter(each => typeof each === 'string').join('; ')
    : ''
  const clean = said
    .replace(/[^\x21-\x7e]+/g, ' ')
    .trim()
    .slice(0, 300)
  const message = `${place.address}: ${what}: ${status}${clean === '' ? '' : ` ${clean}`}`
  if (status === 429) return new IssueError('rate-limited', message, { retryAt })
  // 472 and 473 are standbys of a replica, 503 is sealed or in maintenance, 412 is a replica that lags.
  const passing =
    status >= 500 ||
    status === 412 ||
    status === 472 ||
    status === 473 ||
    status === 408 ||
    (status >= 300 && status < 400)
  return new IssueError(passing ? 'unavailable' : 'rejected', message, { retryAt })
}
