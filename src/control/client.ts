/** Asks the processes of a running gateway over their control sockets. */
import { rmSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { UsageError } from '../base/errors.ts'
import { controlFolder, controlFolderProblem, controlSockets } from './folder.ts'

/** The command line and the configuration are right, and there is nobody to ask: exit code 1. */
export class NoGatewayError extends UsageError {
  override readonly exitCode = 1
}

type Reply<T> = { readonly pid: number; readonly ok?: T; readonly error?: string }

const answerMs = 30_000

type AskOptions = {
  /** The first process that answers is enough */
  readonly one?: boolean
  /** What the question is about */
  readonly of?: string
  /** How long an answer may take, milliseconds */
  readonly withinMs?: number
}

/** The answers of every process, or of one where that is enough. Throws NoGatewayError where nobody is there. */
export async function askGateway<T>(
  state: string,
  question: string,
  { one = false, of = '', withinMs = answerMs }: AskOptions = {},
): Promise<Reply<T>[]> {
  const replies: Reply<T>[] = []
  const problem = controlFolderProblem(state)
  if (problem !== null) throw new NoGatewayError(problem)
  for (const file of controlSockets(state)) {
    const reply = await ask<T>(file, question, of, withinMs)
    if (reply === null) continue
    replies.push(reply)
    if (one) break
  }
  if (replies.length === 0) {
    const where = controlFolder(state)
    throw new NoGatewayError(`no gateway is running with this state folder (looked for sockets in ${where})`)
  }
  return replies
}

/** As askGateway, all at the same time, and without this process: those that answer in time, with at most so many bytes. */
export async function askOthers(
  state: string,
  question: string,
  withinMs: number,
  mostBytes: number,
): Promise<Reply<unknown>[]> {
  const others = controlSockets(state).filter(file => path.basename(file) !== `${process.pid}.sock`)
  const replies = await Promise.all(others.map(file => ask<unknown>(file, question, '', withinMs, mostBytes)))
  return replies.filter(reply => reply !== null)
}

/** Whether anybody still answers. */
export async function gatewayRuns(state: string): Promise<boolean> {
  for (const file of controlSockets(state)) if ((await ask(file, 'ping', '', answerMs)) !== null) return true
  return false
}

/** Null where the process is gone; its socket is removed then. */
function ask<T>(
  file: string,
  question: string,
  of: string,
  withinMs: number,
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<Reply<T> | null> {
  const pid = Number(path.basename(file, '.sock'))
  return new Promise(resolve => {
    let text = ''
    const socket = net.connect(file, () => socket.write(`${JSON.stringify({ ask: question, of })}\n`))
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), withinMs)
    socket.on('data', chunk => {
      text += chunk.toString('utf8')
      if (text.length > mostBytes) socket.destroy(new Error('the answer is too long'))
    })
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ECONNREFUSED') rmSync(file, { force: true })
      const gone = error.code === 'ECONNREFUSED' || error.code === 'ENOENT'
      resolve(gone ? null : { pid, error: error.message })
    })
    socket.on('close', () => {
      clearTimeout(timer)
      try {
        resolve({ pid, ...(JSON.parse(text) as object) })
      } catch {
        resolve({ pid, error: 'the process ended before it answered' })
      }
    })
  })
}
