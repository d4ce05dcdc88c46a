/**
 * A load client that lives for a whole case: one job (JSON) a line on its standard input, one answer a line on its
 * standard output. Its own compiler and collector, which share the load's core, are quiet only after some seconds of
 * work; a fresh process for each measurement would measure them instead of the proxy.
 */
import type { ChildProcess } from 'node:child_process'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../src/base/errors.ts'
import { startPiped } from './processes.ts'

/** The caller's side */
export class LineClient {
  private readonly child: ChildProcess
  private readonly lines: AsyncIterableIterator<string>
  private readonly reader: Interface
  private readonly name: string

  /** `script` is a file in this folder, `runtime` the binary that runs it. */
  constructor(core: number, script: string, runtime: string = process.execPath) {
    this.name = script
    const file = fileURLToPath(new URL(script, import.meta.url))
    this.child = startPiped({ core, command: [runtime, file] })
    if (this.child.stdout === null) throw new Error(`${script} has no standard output`)
    this.reader = createInterface({ input: this.child.stdout })
    this.lines = this.reader[Symbol.asyncIterator]()
  }

  async ask<Answer extends object>(job: object): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(job)}\n`)
    const line = await this.lines.next()
    if (line.done) throw new Error(`${this.name} ended early`)
    const answer: Answer | { failed: string } = JSON.parse(line.value)
    if ('failed' in answer) throw new Error(`${this.name} failed: ${answer.failed}`)
    return answer
  }

  stop(): void {
    this.reader.close()
    this.child.stdin?.end()
  }
}

/** The client's side: answers every job until standard input ends, then exits. */
export async function serveJobs(work: (job: never) => Promise<object>): Promise<never> {
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await Promise.resolve(JSON.parse(line) as never)
      .then(work)
      .catch((error: unknown) => ({ failed: messageOf(error) }))
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  process.exit(0)
}
