/**
 * The process around an open loop: one job (OpenLoopOptions as JSON) a line on standard input, one report a line on
 * standard output. One process serves a whole run: its own compiler and collector, which share the load's core, are
 * quiet only after some seconds of work, and a fresh process would measure them instead of the proxy.
 */
import { createInterface } from 'node:readline'
import { messageOf } from '../../src/base/errors.ts'
import { OpenLoop } from './open-loop.ts'

for await (const line of createInterface({ input: process.stdin })) {
  let answer: string
  try {
    answer = JSON.stringify(await new OpenLoop(JSON.parse(line)).run())
  } catch (error) {
    answer = JSON.stringify({ failed: messageOf(error) })
  }
  process.stdout.write(`${answer}\n`)
}
process.exit(0)
