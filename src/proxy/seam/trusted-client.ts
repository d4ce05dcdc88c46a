/**
 * Who the client of a request is where a trusted proxy says so. Its address is the rightmost one in the list that is not
 * itself trusted: what stands left of it was written by the client, and is not looked at. Scheme, host and port are taken
 * from the same hop. Nothing here makes a connection count as TLS, nor gives it an identity.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Client, Trust } from '../../model/client.ts'
import type { Connection } from '../../model/connection.ts'
import type { Fields } from '../../wire/fields.ts'
import { type ForwardedNode, listElements, parseForwarded, parseNode } from '../../wire/forwarded.ts'
import { isHost } from '../../wire/host.ts'

type TrustedClient = {
  readonly client: Client
  /** The host that the proxy was asked for, in lower case; null where it does not say, or is not asked */
  readonly host: string | null
}

/** What one proxy says of whom it serves. Null for what it does not say. */
type Hop = {
  readonly address: string
  readonly port: number
  readonly proto: string | null
  readonly host: string | null
  readonly serverPort: string | null
}

/**
 * @param claims the identity fields of the request
 * @param asked the request's own host, for the port in it
 * @returns why the request is refused, where what the proxy says is malformed or not there
 */
export function trustedClient(
  claims: Fields,
  connection: Connection,
  trust: Trust,
  asked: string | null,
): TrustedClient | ProxyError {
  try {
    const hop = hopOf(claims, connection, trust)
    const secure = hop.proto === null ? connection.secure : isHttps(hop.proto)
    const host = hop.host === null || !trust.host ? null : hostOf(hop.host)
    const given = hop.serverPort === null ? portOf(host ?? asked ?? '') : forwardedPort(hop.serverPort)
    const known = given ?? (hop.proto === null ? null : secure ? 443 : 80)
    return {
      client: {
        clientAddress: hop.address,
        clientPort: hop.port,
        serverPort: known ?? connection.serverPort,
        publicPort: known === null ? connection.publicPort : null,
        secure,
      },
      host,
    }
  } catch (error) {
    if (error instanceof ProxyError) return error
    throw error
  }
}

function hopOf(claims: Fields, connection: Connection, trust: Trust): Hop {
  switch (trust.fields) {
    case 'forwarded':
      return forwardedHop(claims, connection, trust)
    case 'x-forwarded':
      return xForwardedHop(claims, connection, trust)
    default:
      return namedClient(claims, trust.fields)
  }
}

function forwardedHop(claims: Fields, connection: Connection, trust: Trust): Hop {
  const elements = parseForwarded(claims.getAll('forwarded'))
  if (elements === null) throw malformed('Forwarded')
  if (elements.length === 0) return self(connection)
  const { at, node } = rightmost(connection, trust, elements.length, index => {
    const value = elements[index]?.for ?? null
    return value === null ? { address: null, port: 0 } : nodeOf(value, 'Forwarded')
  })
  const { proto = null, host = null } = elements[at] ?? {}
  return { ...node, proto, host, serverPort: null }
}

function xForwardedHop(claims: Fields, connection: Connection, trust: Trust): Hop {
  const chain = listElements(claims.getAll('x-forwarded-for'))
  const count = chain.length
  const found =
    count === 0
      ? { at: 0, node: self(connection) }
      : rightmost(connection, trust, count, index => nodeOf(chain[index] as string, 'X-Forwarded-For'))
  /** Either each proxy has added one, or the outermost has set it for all. */
  const fromHop = (name: string): string | null => {
    const given = listElements(claims.getAll(name))
    if (given.length <= 1) return given[0] ?? null
    if (given.length !== count)
      throw bad(`${name} has ${given.length} values, and X-Forwarded-For ${count}: they cannot be matched`)
    return given[found.at] as string
  }
  return {
    address: found.node.address,
    port: found.node.port,
    proto: fromHop('x-forwarded-proto'),
    host: trust.host ? fromHop('x-forwarded-host') : null,
    serverPort: fromHop('x-forwarded-port'),
  }
}

/** A field with one address, which the proxy sets itself; the scheme is in X-Forwarded-Proto. */
function namedClient(claims: Fields, name: string): Hop {
  const value = single(claims, name)
  if (value === null) throw bad(`a trusted proxy sent no ${name}, which names the client (trust.fields)`)
  const node = nodeOf(value, name)
  if (node.address === null) throw malformed(name)
  return {
    address: node.address,
    port: node.port,
    proto: single(claims, 'x-forwarded-proto'),
    host: null,
    serverPort: null,
  }
}

function nodeOf(text: string, name: string): ForwardedNode {
  const node = parseNode(text)
  if (node === null) throw malformed(name)
  return node
}

function single(claims: Fields, name: string): string | null {
  const given = claims.getAll(name)
  if (given.length > 1) throw bad(`a trusted proxy sent ${name} ${given.length} times`)
  return given[0] ?? null
}

/**
 * Walks from the proxy that is connected toward the client, for as long as who it comes by is trusted. Of a node without an
 * address nothing is known: then the nearest proxy that is known stands for the client.
 */
function rightmost(
  connection: Connection,
  trust: Trust,
  count: number,
  nodeAt: (index: number) => ForwardedNode,
): { at: number; node: { address: string; port: number } } {
  let near: { address: string; port: number } = self(connection)
  for (let at = count - 1; at >= 0; at--) {
    const { address, port } = nodeAt(at)
    if (address === null) return { at, node: near }
    near = { address, port }
    if (!trust.from.contains(address)) return { at, node: near }
  }
  return { at: 0, node: near }
}

/** Of a request of the proxy's own: a health check, for one. */
const self = ({ clientAddress, clientPort }: Connection): Hop => ({
  address: clientAddress,
  port: clientPort,
  proto: null,
  host: null,
  serverPort: null,
})

/** As some proxies say it of a WebSocket: `wss`. */
function isHttps(proto: string): boolean {
  switch (proto.toLowerCase()) {
    case 'https':
    case 'wss':
      return true
    case 'http':
    case 'ws':
      return false
    default:
      throw bad('a trusted proxy sent a scheme that is neither http nor https')
  }
}

function hostOf(text: string): string {
  if (!isHost(text)) throw bad('a trusted proxy sent a host that is not a host name')
  return text.toLowerCase()
}

function portOf(host: string): number | null {
  const digits = /:(\d{1,5})$/.exec(host)?.[1]
  return digits === undefined ? null : Number(digits)
}

function forwardedPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw bad('a trusted proxy sent an X-Forwarded-Port that is not a port')
  return port
}

const bad = (why: string): ProxyError => new ProxyError('BAD_REQUEST', why)
const malformed = (name: string): ProxyError => bad(`a trusted proxy sent a malformed ${name}`)
