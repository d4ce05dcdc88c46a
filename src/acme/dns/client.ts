/** Questions to DNS servers, as ACME needs them: TXT, CNAME, the zone of a name and its name servers. Asked anew each time. */
import { randomInt } from 'node:crypto'
import { getServers } from 'node:dns'
import { isIP } from 'node:net'
import { messageOf } from '../../base/errors.ts'
import { formatAddress } from '../../base/ip.ts'
import {
  classes,
  decodeText,
  encodeMessage,
  opcodes,
  type ReadDnsMessage,
  rcodeText,
  recordTypes,
} from '../../wire/dns-message.ts'
import { type DnsServer, exchange, serverText } from './exchange.ts'

const maxAliases = 8
const maxNameServers = 12
/** Addresses asked for each name server */
const maxAddresses = 2

export const newId = (): number => randomInt(65_536)

export function parseServer(text: string): DnsServer {
  const found = /^\[(.*)\]:([0-9]+)$|^([^:]+):([0-9]+)$/.exec(text)
  return found === null
    ? { host: text, port: 53 }
    : { host: (found[1] ?? found[3]) as string, port: Number(found[2] ?? found[4]) }
}

/** Resolvers of this machine. */
export const systemResolvers = (): DnsServer[] => getServers().map(parseServer)

export async function ask(
  server: DnsServer,
  name: string,
  type: keyof typeof recordTypes,
  recursionDesired: boolean,
  signal: AbortSignal,
): Promise<ReadDnsMessage> {
  const question = { name, type: recordTypes[type], class: classes.IN }
  const message = encodeMessage({
    id: newId(),
    isAnswer: false,
    opcode: opcodes.query,
    recursionDesired,
    rcode: 0,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
  })
  const answer = await exchange(server, message, signal)
  // A name that does not exist is an answer; all else is a server that does not serve.
  if (answer.rcode === 0 || answer.rcode === 3) return answer
  throw new Error(`DNS server ${serverText(server)} answers ${rcodeText(answer.rcode)} for ${name} ${type}`)
}

/** Asks one resolver after the other until one answers. */
async function askAny(
  resolvers: readonly DnsServer[],
  name: string,
  type: keyof typeof recordTypes,
  signal: AbortSignal,
): Promise<ReadDnsMessage> {
  let last: unknown = new Error('there is no DNS resolver to ask')
  for (const resolver of resolvers) {
    try {
      return await ask(resolver, name, type, true, signal)
    } catch (error) {
      signal.throwIfAborted()
      last = error
    }
  }
  throw last
}

/** Where a name leads by CNAME, itself without one. */
export async function followAliases(
  resolvers: readonly DnsServer[],
  name: string,
  signal: AbortSignal,
): Promise<string> {
  let at = name
  const seen = new Set([at])
  for (let hops = 0; hops <= maxAliases; hops++) {
    const answer = await askAny(resolvers, at, 'CNAME', signal)
    const found = answer.answers.find(record => record.type === recordTypes.CNAME && record.name === at)
    if (found === undefined) return at
    at = answer.nameIn(found)
    if (seen.has(at)) throw new Error(`the CNAMEs of ${name} lead in a circle`)
    seen.add(at)
  }
  throw new Error(`${name} leads on by more than ${maxAliases} CNAMEs`)
}

/** The zone that a name is in: the nearest one above it that has a SOA record. */
export async function zoneOf(
  query: (name: string) => Promise<ReadDnsMessage>,
  name: string,
): Promise<string | null> {
  const labels = name.split('.')
  for (let at = 0; at < labels.length; at++) {
    const candidate = labels.slice(at).join('.')
    const answer = await query(candidate)
    if (answer.answers.some(record => record.type === recordTypes.SOA && record.name === candidate))
      return candidate
    // A negative answer names the zone (RFC 2308 section 2).
    const above = answer.authorities.find(record => record.type === recordTypes.SOA)?.name
    if (above !== undefined && above !== '' && `.${candidate}`.endsWith(`.${above}`)) return above
  }
  return null
}

/** All addresses of the name servers of the zone that `name` is in. */
export async function authoritativeServers(
  resolvers: readonly DnsServer[],
  name: string,
  signal: AbortSignal,
): Promise<readonly DnsServer[]> {
  const zone = await zoneOf(candidate => askAny(resolvers, candidate, 'SOA', signal), name)
  if (zone === null) throw new Error(`no zone has ${name}`)
  const answer = await askAny(resolvers, zone, 'NS', signal)
  const hosts = answer.answers
    .filter(record => record.type === recordTypes.NS && record.name === zone)
    .slice(0, maxNameServers)
    .map(record => answer.nameIn(record))
  const found = await Promise.all(hosts.map(host => addressesOf(resolvers, host, signal).catch(() => [])))
  const servers = found.flat().map(host => ({ host, port: 53 }))
  if (servers.length === 0) throw new Error(`the zone ${zone} has no name server with an address`)
  return servers
}

/** IPv4 before IPv6: a machine without the one has the other more rarely. */
export async function addressesOf(
  resolvers: readonly DnsServer[],
  host: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  for (const [type, size] of [
    ['A', 4],
    ['AAAA', 16],
  ] as const) {
    const { answers } = await askAny(resolvers, host, type, signal)
    const found = answers.filter(record => record.type === recordTypes[type] && record.rdata.length === size)
    if (found.length > 0) return found.slice(0, maxAddresses).map(record => formatAddress(record.rdata))
  }
  return []
}

/** The TXT values at a name, as one server has them. */
export async function textAt(
  server: DnsServer,
  name: string,
  recursionDesired: boolean,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { answers } = await ask(server, name, 'TXT', recursionDesired, signal)
  return answers.filter(record => record.type === recordTypes.TXT).map(record => decodeText(record.rdata))
}

/** For messages: why one server does not show something. */
export const reasonOf = (error: unknown): string => messageOf(error).replace(/^DNS server \S+:? /, '')
