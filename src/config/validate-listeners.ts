/** Listeners, from rows to config.ts: a port or a Unix socket each, and no two in one place. */
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { abilities, runtime } from '../base/runtime.ts'
import type { ListenConfig, SiteConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, type Place, placeOf, placeOfKey } from './engine/tree.ts'
import { isLoopback, overlap, placeText } from './listen-address.ts'
import type { listenShape } from './schema/listen.ts'
import type { TrustConfig, validateTrust } from './validate-trust.ts'

type RawListener = Raw<typeof listenShape>
type TrustOf = (own: Parameters<typeof validateTrust>[0], node: Node | undefined) => TrustConfig | null

export function validateListeners(
  raw: readonly (RawListener | undefined)[],
  list: Node | undefined,
  trustOf: TrustOf,
  problems: Problems,
): ListenConfig[] {
  const listen: ListenConfig[] = []
  const places: { one: ListenConfig; at: Place }[] = []
  raw.forEach((one, index) => {
    const node = list?.kind === 'list' ? list.items[index] : undefined
    if (one === undefined || node === undefined) return
    if (one.cleartext === undefined) return
    // Where another row of it is wrong, that is reported; the checks of other sections look at these alone.
    const rest = one as unknown as ListenConfig
    const trust = trustOf(one.trust, childOf(node, 'trust'))
    const own = placesOfListener(one, node, problems).map((place): ListenConfig => ({ ...rest, ...place, trust }))
    for (const listener of own) {
      checkPlace(listener, node.at, places, problems)
      places.push({ one: listener, at: node.at })
    }
    listen.push(...own)
    if (one.cleartext !== null && one.startTls)
      problems.error(
        placeOf(node, 'startTls'),
        'startTls changes to TLS, and cleartext is HTTP without it',
        'remove one of them',
      )
    if (one.cleartext === 'serve' && own.some(({ unix, address }) => !unix && !isLoopback(address))) {
      problems.note(
        placeOf(node, 'cleartext'),
        'cleartext: serve: anyone on the network path can read what clients send and receive here',
      )
    }
    if (one.backlog && !abilities.backlog)
      problems.error(
        placeOfKey(node, 'backlog'),
        `backlog: ${runtime.name} does not let it be chosen, and always takes 512`,
        'remove it, or use --runtime node',
      )
  })
  return listen
}

type ListenPlace = Pick<ListenConfig, 'address' | 'port' | 'unix' | 'public'>

/** @returns several for an interface, and none where it is wrong */
function placesOfListener(one: RawListener, node: Node, problems: Problems): readonly ListenPlace[] {
  const { address, port, unix, cleartext } = one
  if (address === undefined || port === undefined || unix === undefined || one.public === undefined) return []
  if (unix === null) {
    if (port === null) {
      problems.error(node.at, 'port is missing', 'as in port: 443')
      return []
    }
    const mode = childOf(node, 'mode')
    if (mode)
      problems.error(
        placeOfKey(node, 'mode'),
        'mode is for Unix sockets',
        'remove it, or write unix in place of port',
      )
    const rest = { port, unix: false, public: one.public }
    if (isIP(address) !== 0) return [{ address, ...rest }]
    const at = placeOf(node, 'address')
    return addressesOf(address, at, problems).map(each => ({ address: each, ...rest }))
  }
  for (const key of ['address', 'port', 'keepAlive'])
    if (childOf(node, key)) problems.error(placeOfKey(node, key), `a Unix socket has no ${key}`, 'remove it')
  // Nothing but a proxy in front connects there: its clients have come to the usual port.
  return [{ address: unix, port: 0, unix: true, public: one.public ?? (cleartext === null ? 443 : 80) }]
}

/** Of an interface, as they are now. Link-local ones cannot be connected to without naming an interface. */
function addressesOf(name: string, at: Place, problems: Problems): string[] {
  const all = networkInterfaces()
  const found = Object.hasOwn(all, name) ? all[name] : undefined
  if (found === undefined)
    problems.error(at, `this machine has no network interface ${name}`, `it has ${Object.keys(all).join(', ')}`)
  const addresses = (found ?? []).map(({ address }) => address).filter(address => !/^fe[89ab]/i.test(address))
  if (found !== undefined && addresses.length === 0) problems.error(at, `network interface ${name} has no address`)
  return addresses
}

function checkPlace(
  listener: ListenConfig,
  at: Place,
  before: readonly { readonly one: ListenConfig; readonly at: Place }[],
  problems: Problems,
): void {
  const other = before.find(({ one }) => overlap(one, listener))
  if (other === undefined) return
  const line = other.at.source.position(other.at.offset).line
  const hint = line === null ? `the first is ${other.at.path}` : `the first is on line ${line}`
  problems.error(
    at,
    `another listener already has ${placeText(other.one)}`,
    other.one.address === '::' ? `${hint}; "::" takes IPv4 too` : hint,
  )
}

/** Routes wait for what only a PROXY header says, and no listener takes one. */
export function warnWithoutProxy(
  sites: readonly { readonly site: SiteConfig; readonly node: Node }[],
  problems: Problems,
): void {
  for (const { site, node } of sites) {
    const routes = childOf(node, 'routes')
    if (site.action.kind !== 'http' || routes?.kind !== 'list') continue
    for (const route of routes.items) {
      const match = childOf(route, 'match')
      if (match && childOf(match, 'proxy'))
        problems.warn(
          placeOfKey(match, 'proxy'),
          'no request ever matches: no listener takes a PROXY header',
          'add proxyProtocol: { from: [10.0.0.0/8] } to the listener behind the load balancer',
        )
    }
  }
}
