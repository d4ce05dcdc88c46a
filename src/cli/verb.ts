/** What every verb is. */
import type { Signals } from '../process/signals.ts'
import type { Words } from './argv.ts'

export type Verb = {
  readonly name: string
  /** As in `sallyport help` */
  readonly usage: string
  readonly summary: string
  /** Further lines for `sallyport help VERB` */
  readonly details: string
  readonly values: readonly string[]
  readonly flags: readonly string[]
  /**
   * Writes to standard output what was asked for. @returns the exit code
   * @param signals null for a verb that does not serve (signals.ts has those that do)
   */
  run(words: Words, signals: Signals | null): Promise<number>
}
