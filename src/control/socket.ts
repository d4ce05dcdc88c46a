/**
 * The control socket of one process: a question as one line of JSON, an answer as another, for whoever may open files
 * of the user that the gateway runs as, and nobody else.
 */
import { chmodSync, rmSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { messageOf, UsageError } from '../base/errors.ts'
import { controlFolder, makeControlFolder } from './folder.ts'

/** By the word of the question; `of` is what it is about, or empty. */
export type Controls = Readonly<Record<string, (of: string) => unknown | Promise<unknown>>>

/** A question is a word or two; more is a mistake. */
const longestQuestion = 1_000
const questionMs = 5_000

/** @returns closes it. Throws UsageError where the folder is not ours alone. */
export async function openControl(state: string, controls: Controls): Promise<() => void> {
  const problem = makeControlFolder(state)
  if (problem !== null) throw new UsageError(problem)
  const folder = controlFolder(state)
  const file = path.join(folder, `${process.pid}.sock`)
  rmSync(file, { force: true })
  const server = net.createServer({ allowHalfOpen: true }, socket => answer(socket, controls))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(file, resolve)
  })
  chmodSync(file, 0o600)
  server.unref()
  const close = () => {
    server.close()
    rmSync(file, { force: true })
  }
  process.once('exit', close)
  return close
}

function answer(socket: net.Socket, controls: Controls): void {
  let text = ''
  socket.setTimeout(questionMs, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    text += chunk.toString('utf8')
    if (text.length > longestQuestion) socket.destroy()
    const end = text.indexOf('\n')
    if (end < 0) return
    socket.removeAllListeners('data')
    socket.setTimeout(0)
    void respond(text.slice(0, end), controls).then(reply => socket.end(`${JSON.stringify(reply)}\n`))
  })
}

async function respond(line: string, controls: Controls): Promise<unknown> {
  try {
    const { ask, of } = JSON.parse(line) as { ask?: unknown; of?: unknown }
    const control = typeof ask === 'string' && Object.hasOwn(controls, ask) ? controls[ask] : undefined
    return control === undefined
      ? { error: `there is no '${String(ask)}'` }
      : { ok: await control(typeof of === 'string' ? of : '') }
  } catch (error) {
    return { error: messageOf(error) }
  }
}
