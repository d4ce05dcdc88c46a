/** `sallyport --version`. */
import { readFileSync } from 'node:fs'
import { runtime } from '../../base/runtime.ts'
import type { Verb } from '../verb.ts'

export const version: Verb = {
  name: 'version',
  usage: '--version',
  summary: 'print the version, and the runtime it runs on',
  details: '',
  values: [],
  flags: [],
  async run() {
    const file = new URL('../../../package.json', import.meta.url)
    const { version: own } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
    process.stdout.write(`sallyport ${own} (${runtime.name} ${runtime.version})\n`)
    return 0
  },
}
