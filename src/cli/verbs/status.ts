/** `sallyport status`, `reload` and `drain`: a running gateway, found by the state folder of its configuration. */
import { askGateway, gatewayRuns } from '../../control/client.ts'
import type { CertificateCount } from '../../gateway/certificates/certificate-list.ts'
import type { Status } from '../../process/controls.ts'
import type { Words } from '../argv.ts'
import { configHere } from '../config-here.ts'
import { print, printError } from '../print.ts'
import type { Verb } from '../verb.ts'

export async function stateOf(words: Words): Promise<string> {
  return (await configHere(words.options.get('config'))).state
}

export const status: Verb = {
  name: 'status',
  usage: 'status [-c FILE] [--json]',
  summary: 'what a running gateway is doing',
  details:
    'A line for each process, and why it is not ready, if so: exit code 1 then. The gateway is found by the state folder of ' +
    'its configuration.',
  values: ['config'],
  flags: ['json'],
  async run(words) {
    const replies = await askGateway<Status>(await stateOf(words), 'status')
    if (words.options.has('json')) print(`${JSON.stringify(replies, null, 2)}\n`)
    else for (const { pid, ok, error } of replies) print(ok ? line(pid, ok) : `${pid}  ${error}\n`)
    return replies.every(({ ok }) => ok?.readiness.ready === true) ? 0 : 1
  },
}

function line(pid: number, of: Status): string {
  const minutes = Math.floor((Date.now() - of.startedAt) / 60_000)
  const up =
    minutes >= 2880
      ? `${Math.floor(minutes / 1440)} days`
      : minutes >= 120
        ? `${Math.floor(minutes / 60)} h`
        : `${minutes} min`
  return (
    `process ${pid} (${of.runtime}), up ${up}, ports ${of.ports.join(', ')}, ${of.sites} sites, ` +
    `${of.connections} connections open of ${of.accepted}, ${of.failedHandshakes} handshakes failed, ` +
    `${Math.round(of.rssBytes / 1024 / 1024)} MB\n` +
    certificatesLine(of.certificates) +
    of.readiness.reasons.map(reason => `  not ready: ${reason}\n`).join('')
  )
}

function certificatesLine({ total, expired, broken, soonest }: CertificateCount): string {
  if (total === 0) return ''
  const next =
    soonest === null
      ? ''
      : `, the next to end is ${soonest.names[0] ?? 'one without names'}: ${soonest.daysLeft} days`
  return `  ${total} certificates, ${expired} expired, ${broken} with problems${next}\n`
}

export const reload: Verb = {
  name: 'reload',
  usage: 'reload [-c FILE]',
  summary: 'put the configuration into force again, without disturbing open connections',
  details: 'The same as SIGHUP, but says whether it worked: exit code 1 and the reason where it did not.',
  values: ['config'],
  flags: [],
  async run(words) {
    // Any one process has the whole gateway reloaded.
    const replies = await askGateway<null>(await stateOf(words), 'reload', { one: true })
    const failed = replies.filter(reply => reply.error !== undefined)
    for (const { error } of failed.slice(0, 1)) printError(`not reloaded: ${error}\n`)
    if (failed.length === 0) print('reloaded\n')
    return failed.length === 0 ? 0 : 1
  },
}

export const drain: Verb = {
  name: 'drain',
  usage: 'drain [-c FILE]',
  summary: 'stop accepting, let what is under way end, and exit',
  details: 'The same as SIGTERM; returns when every process has ended.',
  values: ['config'],
  flags: [],
  async run(words) {
    const state = await stateOf(words)
    await askGateway<null>(state, 'drain', { one: true })
    while (await gatewayRuns(state)) await new Promise(resolve => setTimeout(resolve, 50))
    print('drained\n')
    return 0
  },
}
