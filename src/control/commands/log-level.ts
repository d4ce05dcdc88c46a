/** `sallyport log-level`: what is logged from now on, until the next reload takes the level of the configuration again. */
import { UsageError } from '../../base/errors.ts'
import type { Level } from '../../base/log.ts'
import { type Command, CommandError } from '../command.ts'
import { fields, oneOf, optional } from '../input.ts'

type Levels = { readonly level: Level; readonly configured: Level }

const level = oneOf<Level>('debug', 'info', 'warn', 'error')

/** @returns the level of every process: one that was started since has that of the configuration */
export const logLevel: Command<{ readonly level: Level | undefined }, Levels, readonly Levels[]> = {
  name: 'log-level',
  role: 'operate',
  asks: 'every',
  input: fields({ level: optional(level) }),
  run({ gateway: { log, config } }, { level }) {
    if (level !== undefined) {
      log.use({ ...config.log, level })
      // Whatever the levels are: who looks at the log later has to know why it says more, or less.
      log.record('log level changed', { level, configured: config.log.level })
    }
    return { level: log.level, configured: config.log.level }
  },
  merge(replies) {
    const failed = replies.find(({ error }) => error !== undefined)
    if (failed !== undefined) throw new CommandError(`process ${failed.pid}: ${failed.error}`)
    return replies.flatMap(({ ok }) => ok ?? [])
  },
  verb: {
    usage: 'log-level [debug | info | warn | error]',
    summary: 'show or change what a running gateway logs, until its next reload',
    details:
      'Applies to every process. A reload, and a worker that replaces another, use the level of the configuration again. ' +
      'Access records are not affected.',
    fromWords: ({ rest: [given, more] }) => {
      if (more !== undefined) throw new UsageError(`log-level takes one level, and no '${more}'`)
      return { level: given }
    },
    show(processes) {
      const levels = [...new Set(processes.map(({ level }) => level))].join(', ')
      const configured = [...new Set(processes.map(({ configured }) => configured))].join(', ')
      return { text: `${levels}${levels === configured ? '' : ` (configured: ${configured})`}\n` }
    },
  },
}
