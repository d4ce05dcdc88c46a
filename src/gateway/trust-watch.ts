/**
 * The CAs for client certificates are part of the terms of sites: when a file with them is replaced, the snapshot is recompiled from
 * the current configuration. If that fails, for example because a revocation list is still from the previous CA, the current snapshot
 * stays, and it is tried again.
 */
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Cas, WatchedCas } from '../certs/files/watched-cas.ts'

/** Pause between attempts, doubled with each */
const againMs = 2_000
const longestMs = 60_000

/** Files with CAs for client certificates, each with the content that the snapshot was compiled from */
export type ClientCas = ReadonlyMap<WatchedCas, Cas>

export class TrustWatch {
  private readonly log: Log
  private readonly reload: () => Promise<void>
  private inForce: ClientCas = new Map()
  private told: string | null = null
  private pauseMs = againMs
  private timer: NodeJS.Timeout | null = null
  private closed = false

  /** @param reload applies the current configuration again, in its turn */
  constructor(log: Log, reload: () => Promise<void>) {
    this.log = log
    this.reload = reload
  }

  /** A snapshot was applied. A file may have been replaced since it was compiled. */
  use(inForce: ClientCas): void {
    this.inForce = inForce
    this.told = null
    this.pauseMs = againMs
    this.changed()
  }

  /** A CA file was replaced, or may have been. */
  changed(): void {
    if (this.closed || this.staleFiles().length === 0) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.reload().catch(error => this.failed(messageOf(error)))
  }

  close(): void {
    this.closed = true
    if (this.timer !== null) clearTimeout(this.timer)
  }

  private failed(why: string): void {
    if (why !== this.told) {
      this.log.write('error', 'changed client CAs could not be applied', {
        source: this.staleFiles().map(({ file }) => file),
        why,
        now: 'those before stay',
        next: 'tried again in seconds, then every minute',
      })
    }
    this.told = why
    if (this.closed) return
    this.timer = setTimeout(() => this.changed(), this.pauseMs).unref()
    this.pauseMs = Math.min(this.pauseMs * 2, longestMs)
  }

  private staleFiles(): WatchedCas[] {
    return [...this.inForce].filter(([file, used]) => file.current !== used).map(([file]) => file)
  }
}
