/** A verb of the command line from a command of a running gateway, which is found by the state folder of its configuration. */
import { UsageError } from '../base/errors.ts'
import { askGateway } from '../control/client.ts'
import type { AnyCommand, CommandVerb } from '../control/command.ts'
import { allCommands } from '../control/commands/all.ts'
import type { Words } from './argv.ts'
import { configHere } from './config-here.ts'
import { print, printError } from './print.ts'
import type { Verb } from './verb.ts'

/** Of every verb that asks a running gateway. */
export const gatewayValues = ['config', 'gateway'] as const
export const gatewayUsage = '[-c FILE] [--gateway PID] [--json]'

/** Which gateway is meant, where several run with one state folder. */
export function gatewayOf({ options }: Words): { readonly gateway: number | undefined } {
  const given = options.get('gateway')
  if (given === undefined) return { gateway: undefined }
  if (!/^[1-9]\d{0,9}$/.test(given)) throw new UsageError(`--gateway takes the id of a process, not '${given}'`)
  return { gateway: Number(given) }
}

export const controlVerbs: readonly Verb[] = allCommands.flatMap(command =>
  command.verb === undefined ? [] : [verbOf(command, command.verb)],
)

function verbOf(command: AnyCommand, verb: CommandVerb<unknown, unknown>): Verb {
  const { usage, summary, details, values = [] } = verb
  return {
    name: command.name,
    usage: `${usage} ${gatewayUsage}`,
    summary,
    details,
    values: [...gatewayValues, ...values],
    flags: ['json'],
    async run(words) {
      if (verb.fromWords === undefined && words.rest.length > 0)
        throw new UsageError(`${command.name} takes no '${words.rest[0]}'`)
      const input = command.input(verb.fromWords?.(words) ?? null, 'input')
      const { state } = await configHere(words.options.get('config'))
      const output = await askGateway(state, command, input, gatewayOf(words))
      const { text, problem, exitCode = 0 } = verb.show(output, input)
      if (words.options.has('json')) print(`${JSON.stringify(output, null, 2)}\n`)
      else if (text !== '') print(text)
      if (problem !== undefined) printError(problem)
      return exitCode
    },
  }
}
