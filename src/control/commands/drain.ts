/** `sallyport drain`: as SIGTERM, and returns when every process has ended. */
import { type Command, onlyAnswer } from '../command.ts'
import { nothing } from '../input.ts'

export const drain: Command<null, null, { readonly drained: true }> = {
  name: 'drain',
  role: 'operate',
  asks: 'one',
  ends: true,
  input: nothing,
  run(running) {
    running.drain()
    return null
  },
  merge: replies => {
    onlyAnswer(replies)
    return { drained: true }
  },
  verb: {
    usage: 'drain',
    summary: 'stop accepting connections, let open exchanges finish, and exit',
    details: 'The same as SIGTERM; returns when every process has exited.',
    show: () => ({ text: 'drained\n' }),
  },
}
