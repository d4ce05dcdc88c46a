/** `sallyport --version`. */
import { runtime } from '../../base/runtime.ts'
import { ownVersion } from '../../base/version.ts'
import { print } from '../print.ts'
import type { Verb } from '../verb.ts'

export const version: Verb = {
  name: 'version',
  usage: '--version',
  summary: 'print the version, and the runtime it runs on',
  details: '',
  values: [],
  flags: [],
  async run() {
    print(`sallyport ${ownVersion} (${runtime.name} ${runtime.version})\n`)
    return 0
  },
}
