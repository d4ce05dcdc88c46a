/** `sallyport check`: every mistake of a configuration at once. */

import { ConfigError, formatProblem, type Problem } from '../../config/engine/problem.ts'
import { placeText } from '../../config/listen-address.ts'
import { loadConfig } from '../../config/load.ts'
import { problemsOf } from '../check/problems.ts'
import { print, printError } from '../print.ts'
import type { Verb } from '../verb.ts'

export const check: Verb = {
  name: 'check',
  usage: 'check [-c FILE] [--json]',
  summary: 'read the configuration and report everything that is wrong with it',
  details:
    'One line per problem: FILE:LINE:COLUMN: message. Exit code 2 if there is an error; warnings do not count. With --json, one object: ' +
    '{ ok, problems: [{ severity, file, line, column, path, message, hint }] }.',
  values: ['config'],
  flags: ['json'],
  async run(words) {
    const file = words.options.get('config') ?? words.rest[0]
    const json = words.options.has('json')
    try {
      const loaded = await loadConfig(file === undefined ? {} : { file })
      const problems = problemsOf(loaded)
      const { sites, listen } = loaded.config
      const ports = listen.map(one => (one.unix ? placeText(one) : one.port)).join(', ')
      return say(problems, json, `${sites.length} ${sites.length === 1 ? 'site' : 'sites'}, listening on ${ports}`)
    } catch (error) {
      if (!json || !(error instanceof ConfigError)) throw error
      return say(error.problems, json, '')
    }
  },
}

/** @returns the exit code */
function say(problems: readonly Problem[], json: boolean, summary: string): number {
  const ok = problems.every(({ severity }) => severity !== 'error')
  if (json) print(`${JSON.stringify({ ok, problems }, null, 2)}\n`)
  else {
    for (const problem of problems) printError(`${formatProblem(problem)}\n`)
    if (ok) print(`ok: ${summary}\n`)
  }
  return ok ? 0 : 2
}
