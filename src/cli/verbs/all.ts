/** Every verb, in the order in which `help` lists them. */
import { controlVerbs } from '../control-verb.ts'
import type { Verb } from '../verb.ts'
import { ca } from './ca.ts'
import { certs } from './certs.ts'
import { check } from './check.ts'
import { explain } from './explain.ts'
import { helpVerb } from './help.ts'
import { map } from './map.ts'
import { policies } from './policies.ts'
import { probe } from './probe.ts'
import { proxy } from './proxy.ts'
import { run } from './run.ts'
import { schema } from './schema.ts'
import { version } from './version.ts'

const without: readonly Verb[] = [
  run,
  proxy,
  check,
  explain,
  ...controlVerbs,
  certs,
  ca,
  map,
  policies,
  probe,
  schema,
  version,
]
export const verbs: readonly Verb[] = [...without, helpVerb(without)]
