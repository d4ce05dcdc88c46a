/** One signed request to a CA (RFC 8555 section 6): with a nonce, and again with another where it was refused. */

import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { HttpAnswer } from '../base/http-request.ts'
import { IssueError } from '../model/issuer.ts'
import type { Ca } from './directory.ts'
import { isSafeUrl, shownUrl } from './http.ts'
import { type Signer, signJws } from './jws.ts'
import { jsonOrNull, problemError, problemOf } from './problem.ts'

export type Posted = HttpAnswer & {
  /** The answer's JSON object; empty where it has none */
  readonly json: Readonly<Record<string, unknown>>
}

/** Pebble refuses one in three at random when it is told to; a CA that refuses this many has a fault. */
const maxNonces = 20
/** How often what only reads is sent again after the network failed. */
const maxReads = 3

/** Changes something: sent once, as far as we can know. Throws IssueError for anything but a 2xx. */
export async function post(
  ca: Ca,
  url: string,
  payload: object,
  signer: Signer,
  signal: AbortSignal,
): Promise<Posted> {
  return withNonce(ca, url, payload, signer, signal, 'application/json')
}

/** POST-as-GET (section 6.3): sent again where the network failed. */
export async function read(
  ca: Ca,
  url: string,
  signer: Signer,
  signal: AbortSignal,
  accept = 'application/json',
): Promise<Posted> {
  for (let tries = 1; ; tries++) {
    try {
      return await withNonce(ca, url, null, signer, signal, accept)
    } catch (error) {
      // An answer, even a 503, is for the caller to judge: it may say when to come back.
      if (tries === maxReads || !isNetworkFailure(error) || signal.aborted) throw error
      await delay(100 * tries, undefined, { signal }).catch(() => {})
    }
  }
}

/** The request may or may not have arrived: nothing of an answer was understood. */
export function isNetworkFailure(error: unknown): boolean {
  return error instanceof IssueError && error.kind === 'unavailable' && problemOf(error) === null
}

async function withNonce(
  ca: Ca,
  url: string,
  payload: object | null,
  signer: Signer,
  signal: AbortSignal,
  accept: string,
): Promise<Posted> {
  const what = `POST ${shownUrl(url)}`
  if (!ca.mayAsk(url)) throw new IssueError('unavailable', `${what}: the CA names a URL that is not https`)
  const { newNonce } = await ca.directory(signal)
  for (let tries = 1; ; tries++) {
    const nonce = await ca.nonces.take(ca.http, newNonce, signal)
    const body = JSON.stringify(await signJws(payload, signer, url, nonce))
    const headers = { 'content-type': 'application/jose+json', accept }
    const answer = await ca.http.request({ method: 'POST', url, headers, body }, signal)
    if (answer.status >= 200 && answer.status < 300) {
      ca.nonces.keep(answer.headers)
      const json = jsonOrNull(answer.body)
      const isObject = typeof json === 'object' && json !== null && !Array.isArray(json)
      return { ...answer, json: isObject ? (json as Record<string, unknown>) : {} }
    }
    const error = problemError(what, answer)
    if (problemOf(error)?.type !== 'badNonce') {
      ca.nonces.keep(answer.headers)
      throw error
    }
    if (tries === maxNonces)
      throw new IssueError('unavailable', `${what}: ${tries} nonces in a row were refused`, { cause: error.cause })
    // Section 6.5: the refusal itself brings a nonce that is good.
    ca.nonces.forget()
    ca.nonces.keep(answer.headers)
  }
}

/** A URL in Location: of an account, of an order. */
export function locationOf(headers: IncomingHttpHeaders, what: string): string {
  const { location = '' } = headers
  if (location.length <= 2000 && isSafeUrl(location)) return location
  throw new IssueError('unavailable', `${what}: the answer has no usable Location`)
}
