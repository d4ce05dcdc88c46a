/** `sallyport help [VERB]`. */
import { UsageError } from '../../base/errors.ts'
import { print } from '../print.ts'
import type { Verb } from '../verb.ts'

export function helpVerb(others: readonly Verb[]): Verb {
  const help: Verb = {
    name: 'help',
    usage: 'help [COMMAND]',
    summary: 'show this list, or the help of one command',
    details: '',
    values: [],
    flags: [],
    async run(words) {
      const [name] = words.rest
      if (name === undefined) {
        print(overview([...others, help]))
        return 0
      }
      const verb = [...others, help].find(each => each.name === name)
      if (verb === undefined) throw new UsageError(`there is no verb '${name}'; 'sallyport help' lists them`)
      print(`sallyport ${verb.usage}\n\n${verb.summary}${verb.details === '' ? '' : `\n\n${verb.details}`}\n`)
      return 0
    },
  }
  return help
}

function overview(verbs: readonly Verb[]): string {
  const width = Math.max(...verbs.map(verb => verb.name.length))
  const lines = verbs.map(verb => `  ${verb.name.padEnd(width)}  ${verb.summary}`)
  return `Sallyport ends TLS in front of your services: edge, bridge, passthrough and unwrap on one port.

${lines.join('\n')}

sallyport help VERB says more. Exit codes: 0 done, 1 failed while running, 2 the command line or configuration is wrong.
`
}
