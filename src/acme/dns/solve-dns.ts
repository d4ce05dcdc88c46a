/**
 * dns-01 (RFC 8555 section 8.4): a TXT record at `_acme-challenge`, or where a CNAME there leads. The CA is told to look
 * only when every name server of the zone shows it, since it asks any of them.
 */
import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../base/errors.ts'
import { formatDuration } from '../../base/units.ts'
import type { Challenge, Solver } from '../../model/challenge.ts'
import { IssueError } from '../../model/issuer.ts'
import { authoritativeServers, followAliases, reasonOf, systemResolvers, textAt } from './client.ts'
import { type DnsServer, serverText } from './exchange.ts'
import type { DnsProvider } from './provider.ts'

type DnsSolverOptions = {
  readonly provider: DnsProvider
  /** Asked for CNAMEs, and whether the record is seen; empty: the system's, then the zone's own name servers */
  readonly resolvers: readonly DnsServer[]
  readonly propagation: {
    /** 0: the record is not looked for */
    readonly timeoutMs: number
    /** Before it is first looked for */
    readonly waitMs: number
  }
  /** Between two looks; 2 seconds when left out */
  readonly everyMs?: number
  /** Told what could not be taken away */
  readonly warn: (message: string) => void
}

const unsetMs = 60_000

/** Section 8.4: the digest of the key authorization. */
export const recordValue = (keyAuthorization: string): string =>
  createHash('sha256').update(keyAuthorization).digest('base64url')

export function dnsSolver(options: DnsSolverOptions): Solver {
  const { provider, propagation, warn } = options
  const fqdns = new Map<string, string>()
  const room = new Room(provider.atOnce ?? Number.POSITIVE_INFINITY)
  return {
    kind: 'dns-01',
    fits: name => isIP(name) === 0,
    async present(challenge, signal) {
      const own = `_acme-challenge.${challenge.name}`
      const value = recordValue(challenge.keyAuthorization)
      try {
        const resolvers = options.resolvers.length > 0 ? options.resolvers : systemResolvers()
        const fqdn = await followAliases(resolvers, own, signal).catch(error => {
          signal.throwIfAborted()
          // Without propagation checks nobody may be there to be asked.
          if (propagation.timeoutMs === 0) return own
          throw error
        })
        await room.enter(signal)
        fqdns.set(keyOf(challenge), fqdn)
        await provider.set(fqdn, value, signal)
        await delay(propagation.waitMs, undefined, { signal })
        if (propagation.timeoutMs > 0) await untilSeen(fqdn, value, resolvers, options, signal)
      } catch (error) {
        if (signal.aborted)
          throw new IssueError('cancelled', `dns-01 for ${challenge.name}: cancelled`, { cause: error })
        if (error instanceof IssueError) throw error
        throw new IssueError('unavailable', `dns-01 for ${challenge.name}: ${messageOf(error)}`, { cause: error })
      }
    },
    async remove(challenge) {
      const fqdn = fqdns.get(keyOf(challenge))
      if (fqdn === undefined) return
      fqdns.delete(keyOf(challenge))
      const end = new AbortController()
      const timer = setTimeout(() => end.abort(), unsetMs)
      try {
        await provider.unset(fqdn, recordValue(challenge.keyAuthorization), end.signal)
      } catch (error) {
        warn(`the TXT record at ${fqdn} could not be removed by ${provider.name}: ${messageOf(error)}`)
      } finally {
        clearTimeout(timer)
        room.leave()
      }
    },
  }
}

const keyOf = ({ name, token, keyAuthorization }: Challenge) => `${name} ${token} ${keyAuthorization}`

/** Throws IssueError `challenge` with who does not show it, and what it shows instead. */
async function untilSeen(
  fqdn: string,
  value: string,
  resolvers: readonly DnsServer[],
  { resolvers: given, propagation, everyMs = 2_000 }: DnsSolverOptions,
  signal: AbortSignal,
): Promise<void> {
  const end = performance.now() + propagation.timeoutMs
  // Given resolvers resolve; the zone's own servers have the record themselves.
  const isRecursive = given.length > 0
  const servers = isRecursive ? given : await authoritativeServers(resolvers, fqdn, signal)
  let waiting: readonly DnsServer[] = servers
  for (;;) {
    const looks = await Promise.all(
      waiting.map(server =>
        textAt(server, fqdn, isRecursive, signal).then(
          texts => ({
            server,
            seen: texts.includes(value),
            why: texts.length === 0 ? 'has no such record' : `has ${texts.length} other`,
          }),
          error => ({ server, seen: false, why: reasonOf(error) }),
        ),
      ),
    )
    signal.throwIfAborted()
    const missing = looks.filter(look => !look.seen)
    if (missing.length === 0) return
    if (performance.now() >= end) {
      const who = missing.slice(0, 4).map(({ server, why }) => `${serverText(server)} ${why}`)
      throw new IssueError(
        'challenge',
        `the TXT record at ${fqdn} was not seen within ${formatDuration(propagation.timeoutMs)}: ${who.join(', ')}`,
      )
    }
    waiting = missing.map(look => look.server)
    await delay(Math.min(everyMs, Math.max(1, end - performance.now())), undefined, { signal })
  }
}

/** So many at once, the rest in turn. */
class Room {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(size: number) {
    this.#free = size
  }

  async enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free--
      return
    }
    await new Promise<void>((resolve, reject) => {
      const turn = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1)
        reject(signal.reason)
      }
      this.#waiting.push(turn)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}
