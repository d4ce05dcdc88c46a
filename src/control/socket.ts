/**
 * The control socket of one process, for whoever may open files of the user that the gateway runs as, and nobody else. What
 * comes is bounded all the same: in bytes, in time, and in how many ask at once.
 */
import { chmodSync, rmSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { messageOf, UsageError } from '../base/errors.ts'
import { ownVersion } from '../base/version.ts'
import type { AnyCommand, Running } from './command.ts'
import { allCommands } from './commands/all.ts'
import { controlFolder, makeControlFolder } from './folder.ts'
import { type Answer, protocol, readQuestion } from './protocol.ts'

/** A question is a few words; more is a mistake. */
const longestQuestion = 8_000
const questionMs = 5_000
/** How long whoever asked may leave an answer unread */
const unreadMs = 30_000
const mostAtOnce = 64

/** @returns closes it. Throws UsageError where the folder is not ours alone. */
export async function openControl(
  state: string,
  running: Running,
  commands: readonly AnyCommand[] = allCommands,
): Promise<() => void> {
  const problem = makeControlFolder(state)
  if (problem !== null) throw new UsageError(problem)
  const folder = controlFolder(state)
  const file = path.join(folder, `${process.pid}.sock`)
  rmSync(file, { force: true })
  const server = net.createServer({ allowHalfOpen: true }, socket => answer(socket, running, commands))
  server.maxConnections = mostAtOnce
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(file, resolve)
  })
  chmodSync(file, 0o600)
  server.unref()
  const close = () => {
    process.removeListener('exit', close)
    server.close()
    rmSync(file, { force: true })
  }
  process.once('exit', close)
  return close
}

function answer(socket: net.Socket, running: Running, commands: readonly AnyCommand[]): void {
  // One character a byte, so that a piece may end within a character.
  let bytes = ''
  socket.setTimeout(questionMs, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('end', () => bytes.includes('\n') || socket.destroy())
  socket.on('data', chunk => {
    bytes += chunk.toString('latin1')
    const end = bytes.indexOf('\n')
    if (end < 0) {
      if (bytes.length > longestQuestion) socket.destroy()
      return
    }
    socket.removeAllListeners('data')
    socket.resume()
    socket.setTimeout(0)
    const line = end > longestQuestion ? '' : Buffer.from(bytes.slice(0, end), 'latin1').toString('utf8')
    void respond(line, running, commands).then(text => {
      socket.setTimeout(unreadMs)
      socket.end(text)
    })
  })
}

async function respond(line: string, running: Running, commands: readonly AnyCommand[]): Promise<string> {
  const { gateway, gatewayPid } = running
  const own = { protocol, version: ownVersion, gateway: gatewayPid }
  try {
    const { command, input } = readQuestion(line)
    const found = commands.find(({ name }) => name === command)
    if (found === undefined) throw new UsageError(`this gateway has no command '${command.slice(0, 64)}'`)
    const ok = (await found.run(running, found.input(input, 'input'))) ?? null
    return `${JSON.stringify({ ...own, draining: gateway.draining, ok } satisfies Answer)}\n`
  } catch (error) {
    return `${JSON.stringify({ ...own, draining: gateway.draining, error: messageOf(error) } satisfies Answer)}\n`
  }
}
