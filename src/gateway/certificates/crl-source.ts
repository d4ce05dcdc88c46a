/**
 * Revocation lists as they are now: a file is looked at again every second that it is asked for, a URL is fetched in the
 * background when half of its time is over. What cannot be read is reported, and the last good list stays in force
 * until it ends; before the first one there is none, and everybody is refused.
 */
import type { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { messageOf } from '../../base/errors.ts'
import { readText } from '../../certs/files/pem.ts'
import { type Crl, readCrls } from '../../certs/x509/crl.ts'
import { boundedBody } from './bounded-body.ts'

export interface CrlSource {
  current(now: number): readonly Crl[]
}

type Warn = (text: string) => void

/** Throws UsageError where a file cannot be read or was not signed by one of the CAs. */
export function openCrl(from: string, cas: readonly X509Certificate[], warn: Warn): CrlSource {
  return /^https?:\/\//.test(from) ? new FetchedCrl(from, cas, warn) : new WatchedCrl(from, cas, warn)
}

const lookEveryMs = 1_000

class WatchedCrl implements CrlSource {
  private readonly file: string
  private readonly cas: readonly X509Certificate[]
  private readonly warn: Warn
  private lists: readonly Crl[]
  private stamp: string
  private lookedAt = 0

  constructor(file: string, cas: readonly X509Certificate[], warn: Warn) {
    this.file = file
    this.cas = cas
    this.warn = warn
    this.lists = readCrls(Buffer.from(readText(file), 'latin1'), cas, file)
    this.stamp = stampOf(file)
  }

  current(now: number): readonly Crl[] {
    if (now - this.lookedAt < lookEveryMs) return this.lists
    this.lookedAt = now
    try {
      const stamp = stampOf(this.file)
      if (stamp === this.stamp) return this.lists
      this.stamp = stamp
      this.lists = readCrls(readFileSync(this.file), this.cas, this.file)
    } catch (error) {
      this.warn(`${messageOf(error)}; the last good CRL stays in force`)
    }
    return this.lists
  }
}

function stampOf(file: string): string {
  const { ino, size, mtimeMs } = statSync(file)
  return `${ino} ${size} ${mtimeMs}`
}

const fetchMs = 30_000
const mostBytes = 64 * 1024 * 1024
/** Between tries that fail, and at least and at most between good ones */
const againMs = 60_000
const longestMs = 24 * 3_600_000

class FetchedCrl implements CrlSource {
  private readonly url: string
  private readonly cas: readonly X509Certificate[]
  private readonly warn: Warn
  private lists: readonly Crl[] = []
  /** When it should be fetched again, milliseconds since 1970 */
  private due = 0
  private fetching = false

  constructor(url: string, cas: readonly X509Certificate[], warn: Warn) {
    this.url = url
    this.cas = cas
    this.warn = warn
    this.refresh(Date.now())
  }

  /** Without a timer: whoever asks notices that it is time, and one that nobody asks any more is not fetched. */
  current(now: number): readonly Crl[] {
    if (now >= this.due) this.refresh(now)
    return this.lists
  }

  private refresh(now: number): void {
    if (this.fetching) return
    this.fetching = true
    this.load()
      .then(lists => {
        this.lists = lists
        const ends = Math.min(...lists.map(list => list.nextUpdate))
        this.due = now + Math.min(longestMs, Math.max(againMs, (ends - now) / 2))
      })
      .catch(error => {
        this.due = now + againMs
        const stays =
          this.lists.length > 0 ? 'the last good CRL stays in force' : 'clients are refused until it can'
        this.warn(`${this.url}: cannot be fetched: ${messageOf(error)}; ${stays}`)
      })
      .finally(() => {
        this.fetching = false
      })
  }

  private async load(): Promise<readonly Crl[]> {
    const response = await fetch(this.url, { signal: AbortSignal.timeout(fetchMs), redirect: 'follow' })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`the server answered ${response.status}`)
    }
    return readCrls(await boundedBody(response, mostBytes), this.cas, this.url)
  }
}
