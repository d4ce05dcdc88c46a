/**
 * Asks the processes of a running gateway over their control sockets: those that a command asks for, and makes one output of
 * their answers.
 */
import { rmSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { messageOf } from '../base/errors.ts'
import { type Command, CommandError, type Reply } from './command.ts'
import { ping } from './commands/ping.ts'
import { controlFolder, controlFolderProblem, controlSockets } from './folder.ts'
import { type Answer, questionText, readAnswer } from './protocol.ts'

/** The command line and the configuration are right, and there is nobody to ask: exit code 1. */
export class NoGatewayError extends CommandError {}

const answerMs = 30_000
const againMs = 50
/** Of one answer: ten thousand certificates take some 5 MB */
const mostBytes = 256_000_000

export type AskOptions = {
  /** The one gateway that is meant, where several run with one state folder: `gatewayPid` of Running */
  readonly gateway?: number | undefined
}

type Present = {
  readonly file: string
  readonly pid: number
  /** Null: it could not say, for the reason in `problem` */
  readonly gateway: number | null
  readonly draining: boolean
  readonly problem: string | null
}

/**
 * The output of a command. Throws NoGatewayError where nobody is there, and CommandError where what was asked for cannot be done.
 */
export async function askGateway<Input, Part, Output>(
  state: string,
  command: Command<Input, Part, Output>,
  input: Input,
  { gateway }: AskOptions = {},
): Promise<Output> {
  const present = await find(state, gateway)
  // What is changed is changed in one gateway; what is told, of all.
  const asked = command.asks === 'one' || command.role === 'operate' ? oneGateway(present) : present
  const replies: Reply<Part>[] = []
  for (const { file, pid, gateway: of, problem } of asked) {
    if (problem !== null) replies.push({ pid, error: problem })
    else {
      const reply = await ask<Part>(file, command, input, command.withinMs ?? answerMs, mostBytes)
      if (reply === null) continue
      replies.push({ ...(of === null ? {} : { gateway: of }), ...reply })
      if (command.asks === 'one') break
    }
  }
  if (replies.length === 0) throw nobody(state)
  const output = command.merge(replies, input)
  if (command.ends) await ended(state, asked)
  return output
}

/** Whether anybody still answers, or is there and does not. */
export const gatewayRuns = async (state: string): Promise<boolean> => (await findAll(state)).length > 0

/** The answers of the other processes of this gateway, all asked at the same time: of those that answer in time, and that many bytes. */
export async function askOthers<Input, Part>(
  state: string,
  gateway: number,
  command: Command<Input, Part, unknown>,
  input: Input,
  withinMs: number,
  mostBytes: number,
): Promise<Reply<Part>[]> {
  const others = controlSockets(state).filter(file => pidOf(file) !== process.pid)
  const replies = await Promise.all(others.map(file => ask<Part>(file, command, input, withinMs, mostBytes)))
  return replies.filter(reply => reply !== null).filter(reply => reply.gateway === gateway)
}

async function find(state: string, gateway: number | undefined): Promise<Present[]> {
  const folderProblem = controlFolderProblem(state)
  if (folderProblem !== null) throw new NoGatewayError(folderProblem)
  const all = await findAll(state)
  if (all.length === 0) throw nobody(state)
  const wanted = gateway === undefined ? all : all.filter(each => each.gateway === gateway)
  if (wanted.length === 0)
    throw new NoGatewayError(
      `no gateway of process ${gateway} is running with this state folder; there are ${named(all)}`,
    )
  const [first] = wanted
  if (first?.problem != null && wanted.every(({ problem }) => problem !== null))
    throw new NoGatewayError(first.problem)
  return wanted
}

async function findAll(state: string): Promise<Present[]> {
  const found = await Promise.all(
    controlSockets(state).map(async (file): Promise<Present | null> => {
      const answer = await exchange(file, ping.name, null, answerMs, mostBytes)
      if (answer === null) return null
      const { gateway = null, draining = false, error = null } = answer
      return { file, pid: pidOf(file), gateway, draining, problem: error }
    }),
  )
  return found.filter(each => each !== null).sort((a, b) => a.pid - b.pid)
}

const nobody = (state: string) =>
  new NoGatewayError(`no gateway is running with this state folder (looked for sockets in ${controlFolder(state)})`)

/** Processes of the one gateway there is. While one takes the place of another that drains, it is the new one. */
function oneGateway(present: readonly Present[]): Present[] {
  const able = present.filter(({ problem }) => problem === null)
  const staying = able.filter(({ draining }) => !draining)
  const candidates = staying.length > 0 ? staying : able
  const gateways = new Set(candidates.map(({ gateway }) => gateway))
  if (gateways.size <= 1) return candidates
  throw new CommandError(
    `${gateways.size} gateways run with this state folder (${named(candidates)}): say which one with --gateway PID`,
  )
}

const named = (present: readonly Present[]): string =>
  [...new Set(present.map(({ gateway, pid }) => gateway ?? pid))].map(pid => `process ${pid}`).join(', ')

/** Resolves when none of these processes is there any more. */
async function ended(state: string, asked: readonly Present[]): Promise<void> {
  const gateways = new Set(asked.map(({ gateway }) => gateway))
  while (
    (await findAll(state)).some(({ gateway, pid }) => gateways.has(gateway) || asked.some(one => one.pid === pid))
  )
    await new Promise(resolve => setTimeout(resolve, againMs))
}

const pidOf = (file: string): number => Number(path.basename(file, '.sock'))

async function ask<Part>(
  file: string,
  command: { readonly name: string },
  input: unknown,
  withinMs: number,
  mostBytes: number,
): Promise<Reply<Part> | null> {
  const answer = await exchange(file, command.name, input, withinMs, mostBytes)
  if (answer === null) return null
  const pid = pidOf(file)
  const { gateway, ok, error } = answer
  const own = gateway === undefined ? { pid } : { pid, gateway }
  return error === undefined ? { ...own, ok: ok as Part } : { ...own, error }
}

/** Null where the process is gone; its socket is removed then. */
function exchange(
  file: string,
  command: string,
  input: unknown,
  withinMs: number,
  mostBytes: number,
): Promise<Partial<Answer> | null> {
  return new Promise(resolve => {
    const pieces: Buffer[] = []
    let bytes = 0
    const socket = net.connect(file, () => socket.write(questionText({ command, input })))
    const timer = setTimeout(() => socket.destroy(new Error(`it gave no answer within ${withinMs} ms`)), withinMs)
    socket.on('data', (chunk: Buffer) => {
      pieces.push(chunk)
      bytes += chunk.length
      if (bytes > mostBytes) socket.destroy(new Error('the answer is too long'))
    })
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ECONNREFUSED') rmSync(file, { force: true })
      const gone = error.code === 'ECONNREFUSED' || error.code === 'ENOENT'
      resolve(gone ? null : { error: error.message })
    })
    socket.on('close', () => {
      clearTimeout(timer)
      try {
        resolve(readAnswer(Buffer.concat(pieces).toString('utf8'), pidOf(file)))
      } catch (error) {
        resolve({ error: messageOf(error) })
      }
    })
  })
}
