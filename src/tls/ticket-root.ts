/**
 * The secret that keys of session tickets come from: `tickets/<rotate in ms>/root` in the state folder, so that workers
 * and restarts have the same. One line: the number of a time window, and 32 bytes as hex, from which the secrets of that
 * window and of all later ones follow, and of no earlier one.
 *
 * Invariants: of several processes that start at once one makes the file and the others read it (a folder with the file
 * in it is renamed into place). It is moved forward by replacing it, and each process would write the same. Only its owner
 * may read it. It never grows, and nothing of it reaches a log.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { replaceSynced, writeSynced } from '../base/durable.ts'
import { messageOf } from '../base/errors.ts'

export type TicketRoot = {
  /** Windows are counted from 1970 */
  readonly window: number
  readonly secret: Buffer
}

export const secretBytes = 32

export class TicketRootFile {
  readonly file: string
  private readonly folder: string

  constructor(stateFolder: string, rotateMs: number) {
    this.folder = path.resolve(stateFolder, 'tickets', String(rotateMs))
    this.file = path.join(this.folder, 'root')
  }

  /** What is there, else what `fresh` makes, written. Throws an Error that names the file. */
  open(fresh: () => TicketRoot): TicketRoot {
    try {
      if (!existsSync(this.file)) this.make(fresh())
      return this.read()
    } catch (error) {
      throw new Error(`${this.file}: ${messageOf(error)}`, { cause: error })
    }
  }

  /** What others should know: a file that they can read. */
  warnings(): string[] {
    if (process.platform === 'win32') return []
    const mode = statSync(this.file).mode & 0o777
    if ((mode & 0o077) === 0) return []
    return [
      `${this.file}: others than its owner may read it, and can take up TLS sessions of clients; run: chmod 600 ${this.file}`,
    ]
  }

  /** Replaces an older root, so that the windows before this one are forgotten. Throws where it cannot. */
  advance(root: TicketRoot): void {
    if (this.read().window >= root.window) return
    replaceSynced(this.file, textOf(root), 0o600)
  }

  private read(): TicketRoot {
    const found = /^(\d{1,15}) ([0-9a-f]{64})\n$/.exec(readFileSync(this.file, 'latin1'))
    const secret = Buffer.from(found?.[2] ?? '', 'hex')
    if (found === null || secret.every(byte => byte === 0))
      throw new Error('is damaged; remove it: sessions then start afresh')
    return { window: Number(found[1]), secret }
  }

  private make(root: TicketRoot): void {
    const parent = path.dirname(this.folder)
    mkdirSync(parent, { recursive: true, mode: 0o700 })
    const draft = mkdtempSync(path.join(parent, '.new-'))
    try {
      writeSynced(path.join(draft, 'root'), textOf(root), 0o600)
      // Onto a folder with a file in it this is ENOTEMPTY or EEXIST: another process was faster.
      renameSync(draft, this.folder)
    } catch (error) {
      if (!existsSync(this.file)) throw error
    } finally {
      rmSync(draft, { recursive: true, force: true })
    }
  }
}

const textOf = ({ window, secret }: TicketRoot): string => `${window} ${secret.toString('hex')}\n`
