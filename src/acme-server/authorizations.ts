/**
 * Authorizations and challenges (RFC 8555 sections 7.1.4 and 7.5). A name on the list of the account's external account is
 * valid at once; any other is proved by a challenge, which is tried in the background, a few times.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { ChallengeKind } from '../model/challenge.ts'
import { thumbprint } from './jws.ts'
import { type Identifier, malformed, notFound, rateLimited, typeOf } from './problem.ts'
import { type Account, type Authorization, type ChallengeRecord, newId } from './records.ts'
import { type Answer, jsonAnswer, type Shared, timeOf } from './terms.ts'
import { ChallengeFailure } from './validate.ts'

const pendingMs = 3_600_000
const preauthorizedMs = 24 * 3_600_000
const tries = 3
const mostAtOnce = 32

export function makeAuthorization(
  shared: Shared,
  account: Account,
  identifier: Identifier,
  preauthorized: boolean,
): Authorization {
  const { value } = identifier
  const wildcard = value.startsWith('*.')
  const challenge = (type: ChallengeKind): ChallengeRecord => ({
    id: newId(),
    type,
    token: randomBytes(32).toString('base64url'),
    status: 'pending',
    validatedAt: null,
    error: null,
  })
  return {
    id: newId(),
    account: account.id,
    identifier: wildcard ? { type: 'dns', value: value.slice(2) } : identifier,
    wildcard,
    status: preauthorized ? 'valid' : 'pending',
    expiresAt: shared.now() + (preauthorized ? preauthorizedMs : pendingMs),
    challenges: preauthorized ? [] : fitting(shared.challenges, identifier).map(challenge),
  }
}

/** A wildcard needs dns-01 (CA/B 3.2.2.4), an address cannot have it (RFC 8738 section 4). */
export function fitting(challenges: readonly ChallengeKind[], { type, value }: Identifier): ChallengeKind[] {
  return challenges.filter(each =>
    value.startsWith('*.') ? each === 'dns-01' : type === 'dns' || each !== 'dns-01',
  )
}

/** What it is by now: a pending or valid one may have ended since. */
export function authorizationStatus({ status, expiresAt }: Authorization, now: number): string {
  return now > expiresAt && (status === 'pending' || status === 'valid') ? 'expired' : status
}

const authorizationUrl = (shared: Shared, { account, id }: Pick<Authorization, 'account' | 'id'>) =>
  `${shared.baseUrl}/authorization/${account}/${id}`

export class Authorizations {
  readonly #shared: Shared
  /** Challenges that are being tried */
  readonly #running = new Map<string, AbortController>()
  #closed = false

  constructor(shared: Shared) {
    this.#shared = shared
  }

  url(account: string, id: string): string {
    return authorizationUrl(this.#shared, { account, id })
  }

  /** @param payload null reads it; `{ status: deactivated }` gives it up */
  async serve(account: Account, id: string, payload: Record<string, unknown> | null): Promise<Answer> {
    const shared = this.#shared
    let authorization = await shared.records.authorization(account.id, id)
    if (authorization === null) throw notFound('authorization')
    if (payload !== null) {
      if (payload['status'] !== 'deactivated')
        throw malformed('the status of an authorization is set to deactivated')
      if (authorization.status === 'pending' || authorization.status === 'valid') {
        authorization = { ...authorization, status: 'deactivated' }
        await shared.records.putAuthorization(authorization)
      }
    }
    // The process may have been restarted while a challenge was being tried.
    const waiting = authorization.challenges.find(each => each.status === 'processing')
    if (waiting !== undefined && authorization.status === 'pending') this.#start(account, authorization, waiting)
    const { identifier, wildcard, status, expiresAt, challenges } = authorization
    const body = {
      identifier,
      status: authorizationStatus(authorization, shared.now()),
      expires: timeOf(expiresAt),
      // Once one has decided, only that one is shown (section 7.1.4).
      challenges: challenges
        .filter(each => status === 'pending' || each.status === 'valid' || each.status === 'invalid')
        .map(each => challengeBody(shared, account.id, id, each)),
      ...(wildcard ? { wildcard } : {}),
    }
    const fields: Record<string, string> =
      status === 'pending' && waiting !== undefined ? { 'retry-after': '1' } : {}
    return jsonAnswer(200, body, fields)
  }

  /** @param payload null reads the challenge; an object says that the answer is in its place */
  async serveChallenge(
    account: Account,
    id: string,
    challengeId: string,
    payload: Record<string, unknown> | null,
  ): Promise<Answer> {
    const shared = this.#shared
    const authorization = await shared.records.authorization(account.id, id)
    let challenge = authorization?.challenges.find(each => each.id === challengeId)
    if (authorization === null || challenge === undefined) throw notFound('challenge')
    if (payload !== null && challenge.status === 'pending') {
      if (authorizationStatus(authorization, shared.now()) !== 'pending')
        throw malformed(`the authorization is ${authorizationStatus(authorization, shared.now())}`)
      if (this.#running.size >= mostAtOnce) throw rateLimited('too many challenges are being tried', 5_000)
      shared.limits.take('challenge', account.id)
      challenge = { ...challenge, status: 'processing' }
      await shared.records.putAuthorization(withChallenge(authorization, challenge))
      this.#start(account, authorization, challenge)
    }
    return jsonAnswer(200, challengeBody(shared, account.id, id, challenge), {
      link: `<${authorizationUrl(shared, authorization)}>;rel="up"`,
      ...(challenge.status === 'processing' ? { 'retry-after': '1' } : {}),
    })
  }

  close(): void {
    this.#closed = true
    for (const controller of this.#running.values()) controller.abort()
  }

  #start(account: Account, authorization: Authorization, challenge: ChallengeRecord): void {
    if (this.#closed || this.#running.has(challenge.id) || this.#running.size >= mostAtOnce) return
    const controller = new AbortController()
    this.#running.set(challenge.id, controller)
    this.#try(account, authorization, challenge, controller.signal)
      .catch(error => {
        // Storage is away, or we are closing: the challenge stays `processing`, and is tried again when it is asked for.
        if (!this.#closed)
          this.#shared.log.write('error', 'internal CA: a challenge could not be decided', {
            reason: String(error),
          })
      })
      .finally(() => this.#running.delete(challenge.id))
  }

  async #try(
    account: Account,
    { id, identifier }: Authorization,
    challenge: ChallengeRecord,
    signal: AbortSignal,
  ): Promise<void> {
    const shared = this.#shared
    const keyAuthorization = `${challenge.token}.${thumbprint(account.jwk)}`
    const digest = createHash('sha256').update(keyAuthorization).digest()
    const asked = { kind: challenge.type, name: identifier.value, token: challenge.token, keyAuthorization, digest }
    let failure: ChallengeFailure | null = null
    for (let attempt = 0; attempt < tries; attempt++) {
      if (attempt > 0) await pause(attempt * 1_000, signal)
      try {
        await shared.validate(asked, signal)
        failure = null
        break
      } catch (error) {
        signal.throwIfAborted()
        failure =
          error instanceof ChallengeFailure ? error : new ChallengeFailure('connection', 'it could not be tried')
        // A wrong answer is an answer; nobody at home may be a program that is still starting.
        if (failure.type !== 'connection' && failure.type !== 'dns') break
      }
    }
    const decided: ChallengeRecord =
      failure === null
        ? { ...challenge, status: 'valid', validatedAt: shared.now() }
        : {
            ...challenge,
            status: 'invalid',
            error: { type: typeOf(failure.type), detail: failure.message, status: 403 },
          }
    await shared.inTurn(account.id, async () => {
      const now = await shared.records.authorization(account.id, id)
      // Given up meanwhile.
      if (now === null || now.status !== 'pending') return
      const status = failure === null ? 'valid' : 'invalid'
      await shared.records.putAuthorization({ ...withChallenge(now, decided), status })
    })
    shared.log.write(failure === null ? 'info' : 'warn', `internal CA: ${challenge.type} for ${identifier.value}`, {
      account: account.id,
      result: decided.status,
      reason: failure?.message ?? null,
    })
  }
}

function withChallenge(authorization: Authorization, challenge: ChallengeRecord): Authorization {
  const challenges = authorization.challenges.map(each => (each.id === challenge.id ? challenge : each))
  return { ...authorization, challenges }
}

function challengeBody(shared: Shared, account: string, authorization: string, challenge: ChallengeRecord): object {
  const { id, type, token, status, validatedAt, error } = challenge
  return {
    type,
    url: `${shared.baseUrl}/challenge/${account}/${authorization}/${id}`,
    token,
    status,
    ...(validatedAt === null ? {} : { validated: timeOf(validatedAt) }),
    ...(error === null ? {} : { error }),
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
