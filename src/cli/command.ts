/**
 * The command line. Exit codes: 0 done, 1 failed while running, 2 the command line or the configuration is wrong.
 * Mistakes of the user are said in a line or two; faults of ours keep their stack.
 */
import { UsageError } from '../base/errors.ts'
import type { Signals } from '../process/signals.ts'
import { parseWords } from './argv.ts'
import { printError } from './print.ts'
import { verbs } from './verbs/all.ts'

async function run(argv: readonly string[], signals: Signals | null): Promise<number> {
  const words = parseWords(argv, verbs)
  const verb = verbs.find(each => each.name === words.verb)
  return verb === undefined ? 2 : await verb.run(words, signals)
}

/** Sets the exit code, or ends the process. */
export async function command(argv: readonly string[], signals: Signals | null): Promise<void> {
  try {
    const code = await run(argv, signals)
    if (code !== 0) process.exitCode = code
    signals?.release()
  } catch (error) {
    if (error instanceof UsageError) {
      printError(`${error.name === 'ConfigError' ? '' : 'sallyport: '}${error.message}\n`)
      process.exit(error.exitCode)
    }
    printError(`sallyport: ${error instanceof Error ? error.stack : String(error)}\n`)
    process.exit(1)
  }
}
