/**
 * OCSP responses for stapling, by certificate: in memory and under `ocsp/` in the state folder, so that a restart has them
 * at once and not every worker needs to ask. A response is fetched again in the background after half of its lifetime: no handshake
 * waits for a responder. A failure, or a response that is not good or does not verify, is reported and tried again later, and the last
 * good response stays in use until it expires.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { messageOf, UsageError } from '../../base/errors.ts'
import { abilities, runtime } from '../../base/runtime.ts'
import { certificateBlocks } from '../../certs/files/pem.ts'
import {
  mostResponseBytes,
  type OcspResponse,
  type OcspSubject,
  ocspSubject,
  readOcspResponse,
} from '../../certs/x509/ocsp.ts'
import { readCertificate } from '../../certs/x509/x509-read.ts'
import type { Bundle } from '../../model/certificate.ts'
import type { Staple } from '../../model/tls-terms.ts'
import { fetchOcsp } from './ocsp-fetch.ts'

type Warn = (text: string) => void

/** What stapling needs of a bundle: the responder and the certificate to ask about. */
export type Stapling = {
  readonly subject: OcspSubject
  readonly url: string
  readonly key: string
  /** Clients refuse the certificate without a staple */
  readonly must: boolean
}

/**
 * @param wanted whether the site says `ocsp: staple`
 * @returns null if nothing is stapled; calls `warn` if stapling was wanted
 * Throws UsageError for a certificate that clients refuse without a staple and that would not get one.
 */
export function staplingOf(bundle: Bundle, wanted: boolean, warn: Warn): Stapling | null {
  if (!wanted && bundle.mustStaple !== true) return null
  const found = stapling(bundle, wanted)
  if (typeof found !== 'string') return found
  if (bundle.mustStaple === true)
    throw new UsageError(
      `${bundle.source}: clients refuse this certificate without an OCSP staple (must-staple), and ${found}`,
    )
  // If the runtime cannot staple, the configuration has been warned about already.
  if (abilities.stapling) warn(`${bundle.source}: no OCSP response is stapled: ${found}`)
  return null
}

/** The stapling, or why there is none. */
function stapling(bundle: Bundle, wanted: boolean): Stapling | string {
  if (!abilities.stapling) return `${runtime.name}'s TLS library staples nothing; use --runtime node`
  if (!wanted) return 'its site does not say ocsp: staple'
  const [leafPem, issuerPem] = certificateBlocks(bundle.chainPem, bundle.source)
  if (leafPem === undefined || issuerPem === undefined)
    return 'its issuer is not in the chain, and has signed what would be stapled; put it behind the leaf'
  const leaf = new X509Certificate(leafPem)
  const [url] = readCertificate(leaf.raw).ocspUrls
  if (url === undefined) return 'it names no OCSP responder'
  try {
    const subject = ocspSubject(leaf, new X509Certificate(issuerPem))
    const key = createHash('sha256').update(leaf.raw).digest('hex')
    return { subject, url, key, must: bundle.mustStaple === true }
  } catch (error) {
    return messageOf(error)
  }
}

/** How often due responses are looked for. */
const sweepMs = 5_000
/** How long a start or reload waits for a first response that clients require */
const firstMs = 3_000
const atOnce = 8
const leastAgainMs = 60_000
const mostAgainMs = 3_600_000
/** Allowed clock difference, as in readOcspResponse */
const skewMs = 300_000
/** Responses of certificates that are no longer used are deleted after this */
const forgottenMs = 60 * 86_400_000

/** The staples of a gateway; they outlive a reload. */
export class Staples {
  private readonly now: () => number
  private readonly known = new Map<string, Fetched>()
  private inUse: ReadonlySet<string> = new Set()
  private timer: NodeJS.Timeout | null = null

  constructor(now: () => number = Date.now) {
    this.now = now
  }

  /** @param use is called with the key: keys that are not in the set for `keepOnly` are dropped */
  of({ subject, url, key, must }: Stapling, state: string, use: Set<string>, warn: Warn): Staple {
    use.add(key)
    let staple = this.known.get(key)
    if (staple === undefined) {
      staple = new Fetched(subject, url, must, path.join(state, 'ocsp', `${key}.der`), this.now, warn)
      this.known.set(key, staple)
    }
    return staple
  }

  /** Before certificates are used: waits a short time for staples that clients require. Never rejects. */
  async prepare(keys: ReadonlySet<string>): Promise<void> {
    const wanted = this.due(keys).filter(staple => staple.must && staple.current() === null)
    if (wanted.length === 0) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, firstMs)
    })
    await Promise.race([refreshAll(wanted), late])
    clearTimeout(timer)
  }

  /** Begins to fetch. @param inUse may grow later, as certificates are read that were not needed before */
  start(inUse: ReadonlySet<string>): void {
    this.inUse = inUse
    this.keepOnly(inUse)
    if (this.timer !== null) return
    this.timer = setInterval(() => void this.refresh(), sweepMs)
    this.timer.unref()
    void this.refresh()
  }

  /** Drops responses for other certificates. */
  keepOnly(used: ReadonlySet<string>): void {
    for (const key of this.known.keys()) if (!used.has(key)) this.known.delete(key)
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  /** Fetches those that are due. Resolves when that has succeeded or failed; never rejects. */
  async refresh(): Promise<void> {
    await refreshAll(this.due(this.inUse))
  }

  private due(keys: ReadonlySet<string>): Fetched[] {
    return [...this.known].filter(([key, staple]) => keys.has(key) && staple.isDue()).map(([, staple]) => staple)
  }
}

async function refreshAll(staples: Fetched[]): Promise<void> {
  const next = async (): Promise<void> => {
    for (let one = staples.pop(); one !== undefined; one = staples.pop()) await one.refresh()
  }
  await Promise.all(Array.from({ length: atOnce }, next))
}

/** A response from the future, from before the clocks were corrected: clients would take it for a forgery. */
const isEarly = ({ thisUpdate }: OcspResponse, now: number): boolean => thisUpdate > now + skewMs

class Fetched implements Staple {
  private readonly subject: OcspSubject
  private readonly url: string
  readonly must: boolean
  private readonly file: string
  private readonly now: () => number
  private readonly warn: Warn
  private response: OcspResponse | null = null
  private dueAt = 0
  /** When `dueAt` was set */
  private plannedAt = 0
  private failures = 0
  private fetching = false

  constructor(subject: OcspSubject, url: string, must: boolean, file: string, now: () => number, warn: Warn) {
    this.subject = subject
    this.url = url
    this.must = must
    this.file = file
    this.now = now
    this.warn = warn
    this.take(this.kept())
  }

  current(): Buffer | null {
    const { response } = this
    const now = this.now()
    return response !== null && now < response.nextUpdate && !isEarly(response, now) ? response.der : null
  }

  isDue(): boolean {
    const now = this.now()
    // After the clock was set back, it would be postponed for as long as the clock was ahead.
    return !this.fetching && (now >= this.dueAt || now < this.plannedAt - skewMs)
  }

  async refresh(): Promise<void> {
    if (this.fetching) return
    this.fetching = true
    try {
      // Another worker may have been faster.
      const kept = this.kept()
      if (kept !== null && kept.thisUpdate > (this.response?.thisUpdate ?? 0) && this.take(kept)) return
      const bytes = await fetchOcsp(this.url, this.subject)
      const response = readOcspResponse(bytes, this.subject, this.now())
      if (response.status === 'revoked') throw new Error('THE CERTIFICATE IS REVOKED')
      // An attacker on the path must not replace a newer response by an older one.
      const last = this.response
      if (last !== null && response.thisUpdate < last.thisUpdate && !isEarly(last, this.now()))
        throw new Error('the answer is older than the last one')
      this.take(response)
      this.keep(response)
    } catch (error) {
      this.failed(error)
    } finally {
      this.fetching = false
    }
  }

  /** @returns whether it stays valid for a while */
  private take(response: OcspResponse | null): boolean {
    if (response === null) return false
    const now = this.now()
    this.response = response
    this.plannedAt = now
    const half = (response.nextUpdate - response.thisUpdate) / 2
    // Jitter, so that not all workers ask at once.
    const due = response.thisUpdate + half * (1 + Math.random() / 10)
    this.dueAt = Math.max(due, now + (due > now ? 0 : leastAgainMs))
    this.failures = 0
    return due > now
  }

  private failed(error: unknown): void {
    const wait = Math.min(mostAgainMs, leastAgainMs * 2 ** Math.min(this.failures++, 10))
    this.plannedAt = this.now()
    this.dueAt = this.plannedAt + wait * (1 + Math.random() / 10)
    const left = this.current() === null ? 'nothing is stapled' : `the last one stays until ${this.endText()}`
    this.warn(`OCSP response from ${this.url} for certificate ${this.subject.serial}: ${messageOf(error)}; ${left}`)
  }

  private endText(): string {
    return new Date(this.response?.nextUpdate ?? 0).toISOString()
  }

  /** Null if there is none, or no valid one: a file is trusted no more than a responder. */
  private kept(): OcspResponse | null {
    try {
      if (statSync(this.file).size > mostResponseBytes) return null
      const response = readOcspResponse(readFileSync(this.file), this.subject, this.now())
      return response.status === 'good' ? response : null
    } catch {
      return null
    }
  }

  private keep(response: OcspResponse): void {
    const folder = path.dirname(this.file)
    const draft = `${this.file}.${process.pid}`
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      forgetOld(folder, this.now())
      writeFileSync(draft, response.der, { mode: 0o600 })
      renameSync(draft, this.file)
    } catch (error) {
      rmSync(draft, { force: true })
      this.warn(
        `${this.file}: cannot be written: ${messageOf(error)}; after a restart the responder must be asked again`,
      )
    }
  }
}

function forgetOld(folder: string, now: number): void {
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name)
    if (now - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? now) > forgottenMs)
      rmSync(file, { force: true })
  }
}
