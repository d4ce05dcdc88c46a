/** `sallyport schema`: the JSON Schema of the configuration, for editors. */
import { jsonSchema } from '../../config/engine/json-schema.ts'
import { configShape } from '../../config/schema.ts'
import { print } from '../print.ts'
import type { Verb } from '../verb.ts'

export const schema: Verb = {
  name: 'schema',
  usage: 'schema',
  summary: 'print the JSON Schema of the configuration, for editors',
  details: 'In YAML, `# yaml-language-server: $schema=FILE` on the first line lets editors complete and check.',
  values: [],
  flags: [],
  async run() {
    print(`${JSON.stringify(jsonSchema(configShape), null, 2)}\n`)
    return 0
  },
}
