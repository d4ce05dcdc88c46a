/** `sallyport probe HOST`: what a TLS server accepts and shows, held against a policy. */
import { X509Certificate } from 'node:crypto'
import net from 'node:net'
import { messageOf, UsageError } from '../../base/errors.ts'
import { visible } from '../../base/visible.ts'
import { certificateBlocks, checkChainMarkers, readText } from '../../certs/files/pem.ts'
import { nearest } from '../../config/engine/nearest.ts'
import { type Policy, policies, policyNames } from '../../model/policies.ts'
import { print, printError, printProgress } from '../print.ts'
import { endText, grade } from '../probe/grade.ts'
import { type Inspected, inspect, whyNot } from '../probe/inspect.ts'
import { reach, type Target } from '../probe/reach.ts'
import { type Accepted, notLookedAt, scan } from '../probe/scan.ts'
import type { Verb } from '../verb.ts'

export const probe: Verb = {
  name: 'probe',
  usage: 'probe HOST[:PORT] [--policy NAME] [--name SERVERNAME] [--ca FILE] [--json]',
  summary: 'what any TLS server accepts and presents, compared with a policy',
  details:
    'Versions (TLS 1.0 to 1.3), ciphers with their grades, groups, resumption, chain, expiry, name, ALPN and HSTS. Exit code 1\n' +
    'if it does not meet the policy (default: intermediate). --ca trusts the CAs in a file instead of those of the\n' +
    'system. The report ends with what was not tested: it is not a vulnerability scan.',
  values: ['policy', 'name', 'ca'],
  flags: ['json'],
  async run(words) {
    const target = targetOf(words.rest[0], words.options.get('name'))
    const name = words.options.get('policy') ?? 'intermediate'
    const policy = Object.hasOwn(policies, name) ? policies[name] : undefined
    if (policy === undefined) {
      const close = nearest(name, policyNames)
      throw new UsageError(`there is no policy ${name}${close === null ? '' : `; did you mean ${close}?`}`)
    }
    const caFile = words.options.get('ca')
    const ca = caFile === undefined ? null : readCas(caFile)
    const progress = (text: string) => printProgress(text)
    try {
      const reached = await reach(target)
      const { accepted, flight } = await scan(reached, progress)
      progress('certificate ...')
      const seen = await inspect(reached, ca, accepted, flight)
      progress('')
      const short = grade(policy, accepted, seen)
      const report = { target, policy: name, accepted, ...seen, short, notLookedAt }
      print(
        words.options.has('json')
          ? `${JSON.stringify(report, null, 2)}\n`
          : text(target, policy, accepted, seen, short),
      )
      return short.length === 0 ? 0 : 1
    } catch (error) {
      progress('')
      printError(`${visible(`${target.host}:${target.port}: ${messageOf(error)}`)}\n`)
      return 1
    }
  },
}

function targetOf(word: string | undefined, name: string | undefined): Target {
  const found = /^(?:https:\/\/)?(\[[0-9A-Fa-f:.]+\]|[^:/\s]+)(?::(\d{1,5}))?\/?$/.exec(word ?? '')
  if (found === null) throw new UsageError('probe needs a host, as in example.com or example.com:8443')
  const host = (found[1] as string).replace(/^\[|\]$/g, '')
  const serverName = name ?? (net.isIP(host) === 0 ? host : null)
  const port = Number(found[2] ?? 443)
  if (port < 1 || port > 65_535) throw new UsageError(`a port is 1 to 65535, not ${found[2]}`)
  return { host, port, serverName }
}

function readCas(file: string): string {
  const text = readText(file)
  checkChainMarkers(text, file)
  try {
    for (const block of certificateBlocks(text, file)) new X509Certificate(block)
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${file}: is damaged: ${messageOf(error)}`)
  }
  return text
}

function text(
  target: Target,
  policy: Policy,
  accepted: readonly Accepted[],
  seen: Inspected,
  short: readonly string[],
): string {
  const lines: string[] = []
  const say = (title: string, values: readonly string[]) =>
    lines.push(`${title.padEnd(12)} ${values.map(visible).join(`\n${' '.repeat(13)}`)}`)
  say('server', [`${target.host}:${target.port}${target.serverName === null ? '' : ` as ${target.serverName}`}`])
  for (const { version, ciphers, groups, graded } of accepted) {
    const told = ciphers.map(cipher => {
      const less = graded.find(each => each.cipher === cipher)
      return less === undefined ? cipher : `${cipher}   ${less.grade}: ${less.why}`
    })
    say(version, [...told, ...(groups.length > 0 ? [`groups: ${groups.join(', ')}`] : [])])
  }
  if (accepted.length === 0) say('TLS', ['none is accepted'])
  const { tls12, tls13 } = seen.resumption
  const why = whyNot(seen.clientCertificate, seen.handshake)
  const unseen = `could not be looked at: ${why}`
  if (seen.handshake !== null && accepted.length > 0)
    say('handshake', [`none from here: ${seen.handshake}; what follows is what can be seen without`])
  if (seen.clientCertificate !== null) say('clients', [`a client certificate is ${seen.clientCertificate}`])
  const word = (resumed: boolean | null) => (resumed === null ? unseen : resumed ? 'yes' : 'no')
  say('resumption', [tls12 === null && tls13 === null ? unseen : `TLS 1.3 ${word(tls13)}, TLS 1.2 ${word(tls12)}`])
  say('ALPN', [seen.alpn.length > 0 ? seen.alpn.join(', ') : seen.handshake !== null ? unseen : 'none'])
  if (seen.chain.length === 0) say('chain', [unseen])
  else {
    say(
      'chain',
      seen.chain.map(({ subject, issuer }) => `${subject || '(no subject)'}, issued by ${issuer}`),
    )
    say('names', [seen.names || 'none'])
    say('key', [seen.key])
    say('ends', [`${seen.chain[0]?.notAfter} (${endText(seen.daysLeft as number)})`])
  }
  const verdict = seen.problem === null ? 'yes' : seen.handshake === null ? `NO: ${seen.problem}` : seen.problem
  say('verifies', [verdict])
  say('HSTS', [seen.hsts ?? (why === null ? 'no' : unseen)])
  say(policy.name, short.length === 0 ? ['met'] : ['FALLS SHORT', ...short])
  say('not tried', notLookedAt)
  return `${lines.join('\n')}\n`
}
