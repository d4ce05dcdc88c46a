/** Authorizations (RFC 8555 sections 7.1.4 and 7.5): one for each name, fulfilled by one challenge. */
import { messageOf } from '../base/errors.ts'
import { IssueError } from '../model/issuer.ts'
import { type Choice, challengeFor, type OfferedChallenge, parseChallenges } from './challenge.ts'
import type { Ca } from './directory.ts'
import type { Signer } from './jws.ts'
import { type Order, spelledName } from './order.ts'
import { type Pace, poll } from './poll.ts'
import { type Posted, post, read } from './post.ts'
import { describeProblem, excerpt, kindOf, problemOf } from './problem.ts'

type Authorization = {
  readonly status: string
  /** Without `*.` */
  readonly name: string
  readonly wildcard: boolean
  readonly challenges: readonly OfferedChallenge[]
}

export type Proving = {
  readonly ca: Ca
  readonly signer: Signer
  readonly choice: Choice
  readonly pace: Pace
  /** The names of the order: an answer is put up for no others */
  readonly names: readonly string[]
}

/** Proves one name: presents the answer, has the CA look, and takes the answer away again, whatever came of it. */
export async function prove(url: string, proving: Proving, signal: AbortSignal): Promise<void> {
  const { ca, signer, choice, pace, names } = proving
  const first = await readAuthorization(ca, url, signer, signal)
  const { name, wildcard, status, challenges } = first.value
  const shown = `${wildcard ? '*.' : ''}${name}`
  if (!names.includes(shown))
    throw new IssueError('unavailable', `the CA asks for a proof for ${excerpt(shown, 260)}, which was not ordered`)
  // Proved for an earlier order, and still good.
  if (status === 'valid') return
  if (status !== 'pending')
    throw new IssueError('challenge', `${shown}: the authorization is ${status}${reasons(challenges)}`)
  const { solver, challenge: offered } = choice.choose(name, wildcard, challenges)
  const challenge = await challengeFor(solver.kind, name, offered, signer.key)
  try {
    await solver.present(challenge, signal).catch(error => {
      if (error instanceof IssueError) throw error
      throw new IssueError('unavailable', `${solver.kind} for ${shown}: ${messageOf(error)}`, { cause: error })
    })
    let answered = false
    const ask = async () => {
      if (!answered && offered.status === 'pending') {
        await respond(ca, offered.url, signer, signal)
        answered = true
      }
      return readAuthorization(ca, url, signer, signal)
    }
    const done = (one: Authorization) => one.status !== 'pending'
    const last = await poll(null, ask, done, pace, signal)
    if (last.status !== 'valid') {
      const next = choice.failed(name, wildcard, solver.kind)
      const then = next === null ? '' : `; the next try is by ${next}`
      const why = reasons(last.challenges) || ` (the authorization is ${last.status})`
      throw new IssueError('challenge', `${solver.kind} for ${shown} failed${why}${then}`)
    }
    choice.succeeded(name)
  } finally {
    await solver.remove(challenge)
  }
}

/** Why an order is not valid: in its own words, or in those of its authorizations. */
export async function orderError(ca: Ca, order: Order, signer: Signer, signal: AbortSignal): Promise<IssueError> {
  const what = `${ca.url}: the order is ${order.status}`
  if (order.error !== null)
    return new IssueError(kindOf(order.error), `${what}: ${describeProblem(order.error)}`, { cause: order.error })
  const lines: string[] = []
  for (const url of order.authorizations) {
    const { name, status, challenges } = (await readAuthorization(ca, url, signer, signal)).value
    if (status !== 'valid') lines.push(`${name} is ${status}${reasons(challenges)}`)
  }
  const isChallenge = lines.length > 0
  return new IssueError(isChallenge ? 'challenge' : 'rejected', isChallenge ? `${what}: ${lines.join('; ')}` : what)
}

/** Says that the answer is there. A second time does no harm: the CA refuses it, and the authorization tells. */
async function respond(ca: Ca, url: string, signer: Signer, signal: AbortSignal): Promise<void> {
  try {
    await post(ca, url, {}, signer, signal)
  } catch (error) {
    if (problemOf(error)?.type !== 'malformed') throw error
  }
}

function reasons(challenges: readonly OfferedChallenge[]): string {
  const failed = challenges.filter(one => one.error !== null)
  return failed.map(one => `: ${describeProblem(one.error as NonNullable<typeof one.error>)}`).join('')
}

async function readAuthorization(
  ca: Ca,
  url: string,
  signer: Signer,
  signal: AbortSignal,
): Promise<{ readonly value: Authorization; readonly answer: Posted }> {
  const answer = await read(ca, url, signer, signal)
  const { status, identifier, wildcard, challenges } = answer.json
  const name = (identifier as { value?: unknown } | undefined)?.value
  if (typeof status !== 'string' || typeof name !== 'string')
    throw new IssueError('unavailable', `the authorization ${url} makes no sense`)
  const value = {
    status: excerpt(status, 40),
    // Some CAs of old say the wildcard in the name as well.
    name: spelledName(excerpt(name, 260)).replace(/^\*\./, ''),
    wildcard: wildcard === true || name.startsWith('*.'),
    challenges: parseChallenges(challenges),
  }
  return { value, answer }
}
