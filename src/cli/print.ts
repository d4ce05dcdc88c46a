/**
 * The only way of the commands to a terminal: much of what they say was sent by somebody, and a certificate's name or a
 * server's answer could move the cursor or turn the words around. Values of one line go through `visible` before as well.
 */
import { visible, visibleLines } from '../base/visible.ts'

export function print(text: string | Uint8Array): void {
  process.stdout.write(typeof text === 'string' ? visibleLines(text) : text)
}

export function printError(text: string): void {
  process.stderr.write(visibleLines(text))
}

/** One line that the next one takes the place of; only where somebody looks. */
export function printProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${visible(text)}`)
}
