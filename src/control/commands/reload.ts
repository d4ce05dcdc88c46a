/** `sallyport reload`: as SIGHUP, with an answer. */
import type { Command } from '../command.ts'
import { nothing } from '../input.ts'

type Reloaded = { readonly reloaded: boolean; readonly error?: string }

export const reload: Command<null, null, Reloaded> = {
  name: 'reload',
  role: 'operate',
  asks: 'one',
  input: nothing,
  run: async running => {
    await running.reload()
    return null
  },
  merge: ([reply]) => (reply?.error === undefined ? { reloaded: true } : { reloaded: false, error: reply.error }),
  verb: {
    usage: 'reload',
    summary: 'read the configuration again and apply it, without disturbing open connections',
    details: 'The same as SIGHUP, but reports the result: exit code 1 and the reason if it failed.',
    show: ({ reloaded, error }) =>
      reloaded ? { text: 'reloaded\n' } : { text: '', problem: `not reloaded: ${error}\n`, exitCode: 1 },
  },
}
