/**
 * The ACME CAs of the configuration as one issuer: accounts in storage, solvers, fall-back and trials.
 *
 * An account is found or made by one process at a time, under a lock: two would otherwise both make one.
 */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { httpClient } from '../acme/http.ts'
import { type AcmeIssuer, acmeIssuer } from '../acme/issue.ts'
import { withFallback } from '../acme/issuers.ts'
import { answerSolver } from '../acme/solve-answers.ts'
import { messageOf } from '../base/errors.ts'
import { readText } from '../certs/pem.ts'
import type { AcmeConfig, AcmeIssuerConfig } from '../config/config-acme.ts'
import type { Solver } from '../model/challenge.ts'
import { IssueError, type Issuer } from '../model/issuer.ts'
import type { Storage } from '../model/storage.ts'
import type { StoredAnswers } from './challenge-answers.ts'
import { dnsSolverOf } from './dns-solver.ts'
import type { OpenedIssuer } from './issuers.ts'

/** Between two looks whether another process has made the account. */
const accountMs = 300

/** Throws UsageError where a file cannot be read. */
export function acmeIssuers(
  config: AcmeConfig,
  storage: Storage,
  answers: StoredAnswers,
  warn: (text: string) => void,
): OpenedIssuer {
  const closers: (() => void)[] = []
  const solvers: Solver[] = config.challenges.map(kind => {
    if (kind !== 'dns-01') return answerSolver(kind, answers, warn)
    const dns = dnsSolverOf(config.dns as NonNullable<AcmeConfig['dns']>, warn)
    closers.push(dns.close)
    return dns.solver
  })
  const issuerOf = (of: AcmeIssuerConfig): Issuer => {
    const http = httpClient({ ca: of.caFile === null ? null : readText(of.caFile) })
    closers.push(() => http.close())
    const { directory, email, externalAccount, profile, preferredChain } = of
    const key = accountKey(directory, email)
    const store = {
      load: async () => (await storage.get(key))?.toString('utf8') ?? null,
      save: (text: string) => storage.put(key, Buffer.from(text)),
    }
    const account = { store, email, externalAccount }
    return withAccount(acmeIssuer({ directory, http, account, solvers, profile, preferredChain }), storage, key)
  }
  const entries = config.issuers.map(each => ({
    issuer: issuerOf(each),
    staging:
      each.staging === null
        ? null
        : issuerOf({ ...each, directory: each.staging, externalAccount: null, preferredChain: null }),
  }))
  const [first] = config.issuers as readonly [AcmeIssuerConfig]
  return {
    // By the first one's name: a fall-back that is added or removed is no reason to order everything anew.
    issuer: { ...withFallback(entries, warn), name: first.directory },
    close() {
      for (const close of closers) close()
    },
  }
}

const accountKey = (directory: string, email: string | null): string =>
  `accounts/${createHash('sha256')
    .update(`${directory} ${email ?? ''}`)
    .digest('hex')
    .slice(0, 32)}`

function withAccount(issuer: AcmeIssuer, storage: Storage, key: string): Issuer {
  let made = false
  const make = async (signal: AbortSignal) => {
    try {
      for (;;) {
        const lease = await storage.lock(key.replace('/', '.'))
        if (lease === null) {
          await delay(accountMs, undefined, { signal })
          continue
        }
        try {
          await issuer.account.signer(signal)
          made = true
          return
        } finally {
          await lease.release().catch(() => {})
        }
      }
    } catch (error) {
      if (error instanceof IssueError) throw error
      throw new IssueError(signal.aborted ? 'cancelled' : 'unavailable', messageOf(error), { cause: error })
    }
  }
  return {
    name: issuer.name,
    async issue(order, signal) {
      if (!made) await make(signal)
      return await issuer.issue(order, signal)
    },
    renewal: (id, signal) => issuer.renewal(id, signal),
    async revoke(der, reason, signal) {
      if (!made) await make(signal)
      await issuer.revoke(der, reason, signal)
    },
  }
}
