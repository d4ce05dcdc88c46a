/** `sallyport log reopen`: opens log files again, after they were renamed. */
import { UsageError } from '../../base/errors.ts'
import { type Command, CommandError } from '../command.ts'
import { fields, oneOf } from '../input.ts'

type Done = { readonly processes: number }

export const log: Command<{ readonly action: 'reopen' }, null, Done> = {
  name: 'log',
  role: 'operate',
  asks: 'every',
  input: fields({ action: oneOf<'reopen'>('reopen') }),
  run({ gateway }) {
    const problem = gateway.reopenLogs()
    if (problem !== null) throw new CommandError(problem)
    return null
  },
  merge(replies) {
    const failed = replies.find(({ error }) => error !== undefined)
    if (failed !== undefined) throw new CommandError(`process ${failed.pid}: ${failed.error}`)
    return { processes: replies.length }
  },
  verb: {
    usage: 'log reopen',
    summary: 'open the file of the access log again, after it was renamed',
    details:
      'Applies to every process. SIGUSR1 does the same, and SIGHUP too, whether or not the new configuration is valid. If the ' +
      'file cannot be opened, the one before stays in use, and the exit code is 1.',
    fromWords({ rest: [action, more] }) {
      if (action !== 'reopen' || more !== undefined) throw new UsageError('log takes the word reopen')
      return { action }
    },
    show: ({ processes }) => ({ text: processes === 1 ? 'reopened\n' : `reopened in ${processes} processes\n` }),
  },
}
