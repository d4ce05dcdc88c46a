/** `sallyport map`: where traffic is plaintext, and who holds the keys. */
import { UsageError } from '../../base/errors.ts'
import { loadConfig } from '../../config/load.ts'
import { mapOf, type Requirement, requirements, shortfalls } from '../map/model.ts'
import { mapSvg } from '../map/svg.ts'
import { mapText } from '../map/text.ts'
import { print, printError } from '../print.ts'
import type { Verb } from '../verb.ts'

const formats = ['text', 'json', 'svg']

export const map: Verb = {
  name: 'map',
  usage: 'map [-c FILE] [--format text|json|svg] [--require end-to-end|no-plaintext-offhost|mtls]',
  summary: 'where traffic is in plaintext: each hop from client to backend, and who holds the keys',
  details:
    "Includes the gateway's own hops: storage, ACME, DNS, Vault, alerts, revocation, admin, redirects.\n" +
    '--require: exit code 1 and the hops that do not meet the requirement, for CI. end-to-end: every hop is encrypted to a verified\n' +
    'peer, or not decrypted here; no-plaintext-offhost: no cleartext leaves this host; mtls: both ends of every hop\n' +
    "of a site are authenticated. The gateway's own hops that stay on this host pass end-to-end and mtls.",
  values: ['config', 'format', 'require'],
  flags: ['json'],
  async run(words) {
    const file = words.options.get('config')
    const format = words.options.has('json') ? 'json' : (words.options.get('format') ?? 'text')
    if (!formats.includes(format)) throw new UsageError(`--format is ${formats.join(', ')}, not ${format}`)
    const required = words.options.get('require')
    if (required !== undefined && !requirements.includes(required as Requirement))
      throw new UsageError(`--require is ${requirements.join(', ')}, not ${required}`)
    const { config } = await loadConfig(file === undefined ? {} : { file })
    const paths = mapOf(config)
    const short = required === undefined ? [] : shortfalls(paths, required as Requirement)
    if (format === 'json') print(`${JSON.stringify({ paths, required: required ?? null, short }, null, 2)}\n`)
    else print(format === 'svg' ? mapSvg(paths) : mapText(paths))
    if (short.length === 0) return 0
    printError(`${short.length} ${short.length === 1 ? 'hop falls' : 'hops fall'} short of ${required}:\n`)
    for (const each of short) printError(`  ${each}\n`)
    return 1
  },
}
