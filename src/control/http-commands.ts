/**
 * Commands over the admin listener: `GET /control/v2/NAME?FIELD=VALUE`, and the output as JSON, of all processes. Only those
 * that tell something: whoever was given the token to read metrics must not be able to drain the gateway by it. The number in
 * the path is that of the protocol of the control sockets.
 */
import { messageOf, UsageError } from '../base/errors.ts'
import { type AnyCommand, CommandError, type Reply, type Running } from './command.ts'
import { allCommands } from './commands/all.ts'
import { protocol } from './protocol.ts'

const prefix = '/control/'

export const isCommandPath = (path: string): boolean => path.startsWith(prefix)

/** The body is sent as JSON. */
export type CommandAnswer = { readonly status: number; readonly body: unknown }

/** The answers of the other processes of this gateway. */
export type Others = (command: AnyCommand, input: unknown) => Promise<readonly Reply<unknown>[]>

/** @param path without the query */
export async function answerCommand(
  path: string,
  query: string,
  running: Running,
  others: Others,
): Promise<CommandAnswer> {
  const [version = '', name = '', ...more] = path.slice(prefix.length).split('/')
  if (version !== `v${protocol}`)
    return failure(404, `this gateway speaks version ${protocol}: ${prefix}v${protocol}/status`)
  const command = allCommands.find(each => each.name === name)
  if (command === undefined || more.length > 0)
    return failure(404, `there is no such command; there are ${viewed.map(each => each.name).join(', ')}`)
  if (command.role !== 'view')
    return failure(403, `${name} changes the gateway: it is for the control socket alone (sallyport ${name})`)
  try {
    const input = command.input(fieldsOf(query), 'input')
    const own = await replyOf(running, command, input)
    const all = command.asks === 'one' ? [own] : [own, ...(await others(command, input))]
    return { status: 200, body: command.merge(all, input) }
  } catch (error) {
    if (error instanceof CommandError) return failure(500, error.message)
    if (error instanceof UsageError) return failure(400, error.message)
    throw error
  }
}

const viewed = allCommands.filter(({ role }) => role === 'view')

async function replyOf(running: Running, command: AnyCommand, input: unknown): Promise<Reply<unknown>> {
  const own = { pid: process.pid, gateway: running.gatewayPid }
  try {
    return { ...own, ok: (await command.run(running, input)) ?? null }
  } catch (error) {
    return { ...own, error: messageOf(error) }
  }
}

/** Null without any, so that a command without input has none. */
function fieldsOf(query: string): Readonly<Record<string, string>> | null {
  const found = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (found.has(name)) throw new UsageError(`${name.slice(0, 64)} is given twice`)
    found.set(name, value)
  }
  return found.size === 0 ? null : Object.fromEntries(found)
}

const failure = (status: number, error: string): CommandAnswer => ({ status, body: { error } })
