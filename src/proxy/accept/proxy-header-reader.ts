/** The PROXY header of a trusted peer, in any number of pieces: who the client is, and where it has connected to. */
import { Gathered } from '../../base/gathered.ts'
import type { Connection } from '../../model/connection.ts'
import { parseProxyHeader } from '../../wire/proxy-protocol.ts'

type Read =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed'; readonly why: string }
  /** The connection has its addresses, and the client has sent `rest` behind it */
  | { readonly kind: 'read'; readonly rest: Buffer }

const incomplete: Read = { kind: 'incomplete' }

export class ProxyHeaderReader {
  private readonly connection: Connection
  private readonly held: Gathered

  constructor(connection: Connection) {
    this.connection = connection
    this.held = new Gathered(connection.link.share)
  }

  push(chunk: Buffer): Read {
    const { connection, held } = this
    const bytes = held.length === 0 ? chunk : held.with(chunk)
    const peeked = parseProxyHeader(bytes)
    if (peeked.kind === 'malformed') return peeked
    if (peeked.kind === 'incomplete') {
      if (held.length === 0) held.append(chunk)
      return incomplete
    }
    held.release()
    const { source, destination, cloud = null } = peeked.header
    connection.cloud = cloud
    if (source !== null) {
      connection.clientAddress = source.address
      connection.clientPort = source.port
    }
    if (destination !== null) {
      connection.serverAddress = destination.address
      connection.serverPort = destination.port
    }
    return { kind: 'read', rest: bytes.subarray(peeked.length) }
  }

  /** The connection is done with it. */
  release(): void {
    this.held.release()
  }
}
