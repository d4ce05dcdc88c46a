/**
 * A certificate from an ACME CA, from the order to the checked chain (RFC 8555 section 7.4).
 *
 * What is needed to take an order up again is told to `progress` right after the order is made and before anything else
 * is done with it. A resumed order goes on from whatever state it is in; one that is gone or invalid is made anew.
 */
import { messageOf } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import type { Solver } from '../model/challenge.ts'
import { IssueError, type IssueOrder, type Issuer } from '../model/issuer.ts'
import { Account, type AccountOptions } from './account.ts'
import { orderError, type Proving, prove } from './authorization.ts'
import { checkChain, downloadChain } from './certificate.ts'
import { Choice } from './challenge.ts'
import { Ca } from './directory.ts'
import type { HttpClient } from './http.ts'
import type { Signer } from './jws.ts'
import {
  awaitOrder,
  finalizeOrder,
  maxNames,
  newOrder,
  type Order,
  type OrderAndAnswer,
  readOrder,
  spelledName,
} from './order.ts'
import { defaultPace, type Pace } from './poll.ts'
import { problemOf } from './problem.ts'
import { renewalWindow } from './renewal-info.ts'
import { revoke } from './revoke.ts'

export type AcmeOptions = {
  /** URL of the CA's directory */
  readonly directory: string
  readonly http: HttpClient
  readonly account: AccountOptions
  /** In the order of preference */
  readonly solvers: readonly Solver[]
  readonly profile: string | null
  /** Common name at the top of the chain that is preferred, or null */
  readonly preferredChain: string | null
  /** For a whole issue; 10 minutes when left out */
  readonly deadlineMs?: number
  readonly pace?: Pace
}

/** With what only ACME has: the account can be rolled over and deactivated. */
export type AcmeIssuer = Issuer & { readonly ca: Ca; readonly account: Account }

/** Names that are proved at once; the rest wait. */
const provedAtOnce = 4

export function acmeIssuer(options: AcmeOptions): AcmeIssuer {
  const { directory, http, deadlineMs = 600_000 } = options
  const ca = new Ca(directory, http)
  const account = new Account(ca, options.account)
  const choice = new Choice(options.solvers)
  const within = <T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>) =>
    bounded(directory, deadlineMs, signal, work)
  return {
    name: directory,
    ca,
    account,
    issue: (order, signal) =>
      within(signal, async bound => {
        if (order.names.length === 0 || order.names.length > maxNames)
          throw new IssueError('rejected', `an order is for 1 to ${maxNames} names, not ${order.names.length}`)
        const resumed = await resume(ca, account, order, bound)
        if (resumed !== null) {
          const chain = await complete(ca, resumed, order, choice, options, bound).catch(error => {
            // An order that was valid already may be for a key that is no longer the one: then it is made anew.
            if (resumed.first.value.status === 'valid' && isWrong(error)) return null
            throw error
          })
          if (chain !== null) return chain
        }
        return complete(ca, await begin(ca, account, order, options, bound), order, choice, options, bound)
      }),
    renewal: (certificateId, signal) => within(signal, bound => renewalWindow(ca, certificateId, bound)),
    revoke: (certificateDer, reason, signal) =>
      within(signal, bound => account.run(bound, signer => revoke(ca, certificateDer, reason, signer, bound))),
  }
}

const isWrong = (error: unknown) => error instanceof IssueError && error.kind === 'wrong-certificate'

type Begun = { readonly signer: Signer; readonly first: OrderAndAnswer }

/** One deadline over all of it, and nothing but IssueError comes out. */
async function bounded<T>(
  directory: string,
  deadlineMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController()
  const onAbort = () => end.abort()
  if (signal.aborted) end.abort()
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(onAbort, deadlineMs)
  try {
    return await work(end.signal)
  } catch (error) {
    if (end.signal.aborted && !signal.aborted)
      throw new IssueError('unavailable', `${directory}: not done within ${formatDuration(deadlineMs)}`, {
        cause: error,
      })
    if (signal.aborted) throw new IssueError('cancelled', `${directory}: cancelled`, { cause: error })
    if (error instanceof IssueError) throw error
    throw new IssueError('unavailable', `${directory}: ${messageOf(error)}`, { cause: error })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    // Whatever still runs beside a failure ends with it.
    end.abort()
  }
}

async function begin(
  ca: Ca,
  account: Account,
  wanted: IssueOrder,
  { profile }: AcmeOptions,
  signal: AbortSignal,
): Promise<Begun> {
  const { names, replaces } = wanted
  const begun = await account.run(signal, async signer => ({
    signer,
    first: await newOrder(ca, { names, profile, replaces }, signer, signal),
  }))
  const { signer, first } = begun
  await wanted.progress(JSON.stringify({ directory: ca.url, account: signer.kid, order: first.value.url }))
  if (!isFor(first.value, names))
    throw new IssueError('unavailable', `${first.value.url} is for other names than ordered`)
  return begun
}

const isFor = (order: Order, names: readonly string[]) =>
  [...new Set(order.names)].sort().join() === [...new Set(names.map(spelledName))].sort().join()

/** The order that was under way, or null where it is not to be had any more. */
async function resume(ca: Ca, account: Account, wanted: IssueOrder, signal: AbortSignal): Promise<Begun | null> {
  const pending = parsePending(wanted.pending)
  if (pending === null || pending.directory !== ca.url) return null
  if ((await account.signer(signal)).kid !== pending.account) return null
  try {
    return await account.run(signal, async signer => {
      const first = await readOrder(ca, pending.order, signer, signal)
      return first.value.status === 'invalid' || !isFor(first.value, wanted.names) ? null : { signer, first }
    })
  } catch (error) {
    // The CA has answered, and has no such order (or account) any more. A CA that is down is asked again later.
    const problem = problemOf(error)
    if (problem !== null && problem.status >= 400 && problem.status < 500 && problem.status !== 429) return null
    throw error
  }
}

function parsePending(text: string | null): { directory: string; account: string; order: string } | null {
  try {
    const { directory, account, order } = JSON.parse(text ?? 'null')
    return [directory, account, order].every(one => typeof one === 'string') ? { directory, account, order } : null
  } catch {
    return null
  }
}

/** From an order in any state to the chain. */
async function complete(
  ca: Ca,
  { signer, first }: Begun,
  wanted: IssueOrder,
  choice: Choice,
  { preferredChain, pace = defaultPace }: AcmeOptions,
  signal: AbortSignal,
): Promise<string> {
  let order = first.value
  let latest: OrderAndAnswer | null = first
  if (order.status === 'pending') {
    await proveAll(order, { ca, signer, choice, pace, names: wanted.names.map(spelledName) }, signal)
    // The order follows its last authorization, not always at once.
    order = await awaitOrder(ca, null, order.url, ['pending'], signer, pace, signal)
    latest = null
  }
  if (order.status === 'ready') {
    latest = await finalizeOrder(ca, order, wanted.csrDer, signer, signal)
    order = latest.value
  }
  order = await awaitOrder(ca, latest, order.url, ['ready', 'processing'], signer, pace, signal)
  if (order.status !== 'valid') throw await orderError(ca, order, signer, signal)
  if (order.certificate === null)
    throw new IssueError('unavailable', `${order.url} is valid and has no certificate`)
  const chain = await downloadChain(ca, order.certificate, preferredChain, signer, signal)
  checkChain(chain, wanted.csrDer, wanted.names)
  return chain
}

/**
 * A name that fails its challenge does not stop the others: what is proved stays so for the next order, and all that must
 * be mended is said at once. Any other failure ends the rest, which take their answers away before this is over.
 */
async function proveAll(order: Order, proving: Proving, signal: AbortSignal): Promise<void> {
  const rest = [...order.authorizations]
  const end = new AbortController()
  const onAbort = () => end.abort()
  if (signal.aborted) end.abort()
  signal.addEventListener('abort', onAbort, { once: true })
  const failed: IssueError[] = []
  const fatal: unknown[] = []
  const work = async () => {
    for (let url = rest.shift(); url !== undefined && !end.signal.aborted; url = rest.shift()) {
      await prove(url, proving, end.signal).catch(error => {
        if (error instanceof IssueError && error.kind === 'challenge') failed.push(error)
        else {
          fatal.push(error)
          end.abort()
        }
      })
    }
  }
  await Promise.all(Array.from({ length: Math.min(provedAtOnce, rest.length) }, work))
  signal.removeEventListener('abort', onAbort)
  if (fatal.length > 0) throw fatal[0]
  if (failed.length > 0) throw new IssueError('challenge', failed.map(messageOf).join('; '), { cause: failed[0] })
}
