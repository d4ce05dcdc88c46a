/** TXT records by DNS UPDATE (RFC 2136), signed with TSIG (RFC 8945): BIND, Knot, PowerDNS, and what else speaks it. */
import { UsageError } from '../../base/errors.ts'
import {
  classes,
  type DnsRecord,
  encodeMessage,
  encodeText,
  opcodes,
  rcodeText,
  recordTypes,
} from '../../wire/dns-message.ts'
import { signMessage, type TsigKey, verifyAnswer } from '../../wire/tsig.ts'
import { addressesOf, ask, newId, systemResolvers, zoneOf } from './client.ts'
import { type DnsServer, exchange, serverText } from './exchange.ts'
import type { DnsProvider } from './provider.ts'

export type Rfc2136Options = {
  /** A name or an address */
  readonly server: DnsServer
  /** Null: found by asking the server */
  readonly zone: string | null
  readonly tsig: { readonly name: string; readonly algorithm: TsigKey['algorithm']; readonly secret: string } | null
  readonly timeoutMs: number
}

/** Resolvers may keep a value that is gone for so long. */
const ttl = 60

export function rfc2136Provider(options: Rfc2136Options): DnsProvider {
  const { tsig, timeoutMs } = options
  const key: TsigKey | null = tsig && { ...tsig, secret: Buffer.from(tsig.secret, 'base64') }
  if (key !== null && key.secret.length === 0) throw new UsageError('the secret of the TSIG key is not base64')
  const update = async (
    fqdn: string,
    change: Pick<DnsRecord, 'class' | 'ttl'>,
    value: string,
    outer: AbortSignal,
  ) => {
    const signal = AbortSignal.any([outer, AbortSignal.timeout(timeoutMs)])
    const server = await addressed(options.server, signal)
    const where = `DNS server ${serverText(server)}`
    const zone = options.zone ?? (await zoneOf(name => ask(server, name, 'SOA', false, signal), fqdn))
    if (zone === null) throw new Error(`${where} has no zone for ${fqdn}`)
    if (!`.${fqdn}`.endsWith(`.${zone}`)) throw new Error(`${fqdn} is not in the zone ${zone}`)
    const message = encodeMessage({
      id: newId(),
      isAnswer: false,
      opcode: opcodes.update,
      recursionDesired: false,
      rcode: 0,
      questions: [{ name: zone, type: recordTypes.SOA, class: classes.IN }],
      answers: [],
      authorities: [{ name: fqdn, type: recordTypes.TXT, rdata: encodeText(value), ...change }],
      additionals: [],
    })
    const signed = key === null ? null : signMessage(message, key, Date.now())
    const answer = await exchange(server, signed?.bytes ?? message, signal)
    // First who speaks, then what is said.
    const wrong = key !== null && signed !== null ? verifyAnswer(answer, signed.mac, key, Date.now()) : null
    if (wrong !== null)
      throw new Error(`${where}: ${wrong}${answer.rcode === 0 ? '' : ` (${rcodeText(answer.rcode)})`}`)
    if (answer.rcode !== 0) {
      const hint = answer.rcode === 5 || answer.rcode === 9 ? '; is this key allowed to update the zone?' : ''
      throw new Error(`${where} refuses to update ${zone}: ${rcodeText(answer.rcode)}${hint}`)
    }
  }
  return {
    name: `rfc2136 at ${serverText(options.server)}`,
    set: (fqdn, value, signal) => update(fqdn, { class: classes.IN, ttl }, value, signal),
    // Section 2.5.4: this one record, and none beside it.
    unset: (fqdn, value, signal) => update(fqdn, { class: classes.NONE, ttl: 0 }, value, signal),
  }
}

async function addressed(server: DnsServer, signal: AbortSignal): Promise<DnsServer> {
  const [host] = await addressesOf(systemResolvers(), server.host, signal)
  if (host === undefined) throw new Error(`the DNS server ${server.host} has no address`)
  return { host, port: server.port }
}
