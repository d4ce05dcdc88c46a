/**
 * What a test starts as a process, `sallyport`. On Node the suite names a bundle of the source, made at its start
 * (scripts/suite-on-node.mjs): a process then reads two files, and not one for each module, which is most of its start.
 */
import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import { noticed } from './until.ts'

export const main = process.env['SALLYPORT_TEST_MAIN'] ?? path.resolve(import.meta.dirname, '../../src/cli/main.ts')

/**
 * Resolves when a process that was just started, with a pipe for its standard error, serves; rejects with what it has said
 * when it ends before. @param more what else it has said
 */
export function readyOf(child: ChildProcess, more: () => string = () => ''): Promise<void> {
  const waiting = new Set<() => void>()
  let err = ''
  let over = false
  const look = () => {
    for (const each of [...waiting]) each()
  }
  child.stderr?.on('data', chunk => {
    err += chunk
    look()
  })
  child.on('close', () => {
    over = true
    look()
  })
  const ready = noticed(
    () => `sallyport ready: ${err}${more()}`,
    waiting,
    () => {
      if (err.includes('sallyport ready')) return true
      if (over) throw new Error(`it ended before it was ready: ${err}${more()}`)
    },
  ).then(() => {})
  // Not every test waits for it.
  ready.catch(() => {})
  return ready
}
