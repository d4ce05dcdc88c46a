/**
 * The root of a `files` route. Its real path is looked up again after a second, and when a file is missing: a root that is a
 * symbolic link, as that of a release often is, can be pointed elsewhere while the gateway runs.
 */
import fs from 'node:fs'

/** What was found is taken for true this long */
export const knownMs = 1_000

export class Folder {
  /** As configured, absolute */
  readonly root: string
  private real: string | null = null
  private realAt = Number.NEGATIVE_INFINITY

  constructor(root: string) {
    this.root = root
  }

  /** The real path, if it is known; else ask `resolve`. */
  known(now: number): string | null {
    return now - this.realAt < knownMs ? this.real : null
  }

  /** There is a symbolic link in its path. */
  get isLinked(): boolean {
    return this.real !== this.root
  }

  forget(): void {
    this.realAt = Number.NEGATIVE_INFINITY
  }

  resolve(now: number, done: (error: NodeJS.ErrnoException | null, real: string) => void): void {
    fs.realpath.native(this.root, (error, real) => {
      if (error === null) {
        this.real = real
        this.realAt = now
      } else this.forget()
      done(error, real)
    })
  }
}
