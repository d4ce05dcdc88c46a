/** Orders (RFC 8555 section 7.4), with profiles (draft-ietf-acme-profiles) and what they replace (RFC 9773 section 5). */
import { isIP } from 'node:net'
import { normaliseAddress } from '../base/ip.ts'
import { IssueError } from '../model/issuer.ts'
import type { Ca } from './directory.ts'
import { isSafeUrl } from './http.ts'
import type { Signer } from './jws.ts'
import { type Pace, poll } from './poll.ts'
import { isNetworkFailure, locationOf, type Posted, post, read } from './post.ts'
import { excerpt, type Problem, parseProblem, problemOf } from './problem.ts'

type OrderStatus = 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'

export type Order = {
  readonly url: string
  readonly status: OrderStatus
  /** In lower case, as asked for: wildcards with their `*.` */
  readonly names: readonly string[]
  readonly authorizations: readonly string[]
  readonly finalize: string
  /** Once it is valid */
  readonly certificate: string | null
  readonly error: Problem | null
}

export type OrderAndAnswer = { readonly value: Order; readonly answer: Posted }

export const maxNames = 100

type NewOrder = {
  readonly names: readonly string[]
  readonly profile: string | null
  readonly replaces: string | null
}

/** The one spelling of a name: DNS names in lower case, addresses as RFC 5952 has them. */
export const spelledName = (name: string): string => normaliseAddress(name.toLowerCase())

export async function newOrder(
  ca: Ca,
  wanted: NewOrder,
  signer: Signer,
  signal: AbortSignal,
): Promise<OrderAndAnswer> {
  const directory = await ca.directory(signal)
  const { profile } = wanted
  if (profile !== null && !directory.profiles.has(profile)) {
    const offered = [...directory.profiles.keys()].join(', ')
    const hint = offered === '' ? 'it offers none; remove profile' : `it offers ${offered}`
    throw new IssueError('rejected', `${ca.url} has no profile "${profile}": ${hint}`)
  }
  const replaces = directory.renewalInfo === null ? null : wanted.replaces
  const identifiers = wanted.names.map(name => ({
    type: isIP(name) === 0 ? 'dns' : 'ip',
    value: spelledName(name),
  }))
  const payload = { identifiers, ...(profile === null ? {} : { profile }) }
  const send = async (more: object) => {
    const answer = await post(ca, directory.newOrder, { ...payload, ...more }, signer, signal)
    return { value: parseOrder(answer, locationOf(answer.headers, 'newOrder')), answer }
  }
  if (replaces === null) return send({})
  try {
    return await send({ replaces })
  } catch (error) {
    if (!mayBeForReplaces(error)) throw error
    return send({})
  }
}

const dislikes: readonly string[] = ['alreadyReplaced', 'conflict', 'malformed', 'unauthorized', 'notFound']

/**
 * `replaces` spares rate limits and no more: where a CA does not like it, the order goes without. Some fail outright
 * where they cannot find what is replaced (letsencrypt/pebble#550), and would with every try until the old one ends.
 */
function mayBeForReplaces(error: unknown): boolean {
  const problem = problemOf(error)
  if (problem === null || (error as IssueError).retryAt !== null) return false
  return dislikes.includes(problem.type) || (problem.type === 'serverInternal' && problem.status === 500)
}

export async function readOrder(ca: Ca, url: string, signer: Signer, signal: AbortSignal): Promise<OrderAndAnswer> {
  const answer = await read(ca, url, signer, signal)
  return { value: parseOrder(answer, url), answer }
}

/** Waits until the order is in none of these states. */
export function awaitOrder(
  ca: Ca,
  first: OrderAndAnswer | null,
  url: string,
  waitWhile: readonly OrderStatus[],
  signer: Signer,
  pace: Pace,
  signal: AbortSignal,
): Promise<Order> {
  const done = (order: Order) => !waitWhile.includes(order.status)
  return poll(first, () => readOrder(ca, url, signer, signal), done, pace, signal)
}

/**
 * Sends the request for the certificate (section 7.4). Where its answer was lost, or it had arrived once before, the
 * order itself knows: it is read instead.
 */
export async function finalizeOrder(
  ca: Ca,
  order: Order,
  csrDer: Uint8Array,
  signer: Signer,
  signal: AbortSignal,
): Promise<OrderAndAnswer> {
  const payload = { csr: Buffer.from(csrDer).toString('base64url') }
  try {
    const answer = await post(ca, order.finalize, payload, signer, signal)
    return { value: parseOrder(answer, order.url), answer }
  } catch (error) {
    if (!isNetworkFailure(error) && problemOf(error)?.type !== 'orderNotReady') throw error
    const now = await readOrder(ca, order.url, signer, signal)
    if (now.value.status === 'ready' || now.value.status === 'pending') throw error
    return now
  }
}

const statuses: readonly string[] = ['pending', 'ready', 'processing', 'valid', 'invalid']

function parseOrder({ json, status }: Posted, url: string): Order {
  const bad = (what: string) => new IssueError('unavailable', `the order ${url} makes no sense: ${what}`)
  const { identifiers, authorizations, finalize, certificate, error } = json
  const isUrl = (text: unknown): text is string =>
    typeof text === 'string' && text.length <= 2000 && isSafeUrl(text)
  if (!statuses.includes(String(json['status']))) throw bad(`status ${excerpt(json['status'], 40) || 'missing'}`)
  if (!Array.isArray(identifiers) || identifiers.length > maxNames) throw bad('identifiers')
  if (!Array.isArray(authorizations) || authorizations.length > maxNames || !authorizations.every(isUrl))
    throw bad('authorizations')
  if (!isUrl(finalize)) throw bad('finalize')
  if (certificate !== undefined && certificate !== null && !isUrl(certificate)) throw bad('certificate')
  return {
    url,
    status: json['status'] as OrderStatus,
    names: identifiers.map(one => spelledName(excerpt(one?.value, 260))),
    authorizations,
    finalize,
    certificate: certificate ?? null,
    error: parseProblem(error, status),
  }
}
