/**
 * What a PROXY protocol header says (haproxy.org/download/3.0/doc/proxy-protocol.txt), in either version, and the
 * addresses in it. It is a claim about who the client is, and access is decided by it.
 */
import { ProxyError } from '../base/errors.ts'
import { parseAddress } from '../base/ip.ts'

/** `address` is canonical text (see base/ip.ts): an IPv4 address inside IPv6 is that IPv4 address. */
export type ProxyAddress = { readonly address: string; readonly port: number }

export type ProxyTlv = { readonly type: number; readonly value: Uint8Array }

/** What the peer says about the client's TLS session with it (section 2.2.6). */
export type ProxySsl = {
  /** The client used TLS. */
  readonly tls: boolean
  /** The client presented a certificate, on this connection or earlier in the same session */
  readonly certificate: boolean
  /** A certificate was presented and verified. */
  readonly verified: boolean
  readonly version?: string
  readonly cipher?: string
  readonly commonName?: string
  /** Every sub-TLV, the ones above too */
  readonly tlvs: readonly ProxyTlv[]
}

/** Null for each that was not sent. */
export type CloudIds = {
  /** Of the VPC endpoint: `vpce-` and hexadecimal digits */
  readonly awsVpceId: string | null
  /** Of the Private Service Connect connection, in decimal */
  readonly gcpConnectionId: string | null
  /** The link id of the private endpoint, in decimal */
  readonly azureLinkId: string | null
}

export type ProxyHeader = {
  readonly version: 1 | 2
  /** LOCAL: the peer speaks for itself, a health check for one */
  readonly command: 'LOCAL' | 'PROXY'
  /** Null for LOCAL, for UNKNOWN and UNSPEC, and for Unix sockets: then the connection's own peer counts */
  readonly source: ProxyAddress | null
  readonly destination: ProxyAddress | null
  /** All of version 2's but padding, in wire order; copies */
  readonly tlvs: readonly ProxyTlv[]
  readonly ssl?: ProxySsl
  /** The name the client asked the peer for (SNI, most often) */
  readonly authority?: string
  /** One latin1 character per byte, as in ClientHello.alpn */
  readonly alpn?: string
  readonly uniqueId?: Uint8Array
  readonly netns?: string
  /** Which private connection the client has come through, where a cloud says it */
  readonly cloud?: CloudIds
}

export type ProxyPeek =
  | { readonly kind: 'incomplete' }
  /** `length`: where the header ends and the client's own bytes begin */
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly length: number }
  | { readonly kind: 'malformed'; readonly why: string }

/**
 * The addresses take at most 232 bytes; what else comes is TLVs. A name, a cipher and a common name fit in 500 bytes,
 * a client certificate in DER is 1 to 2 kB. HAProxy's own limit is its buffer, 16 kB, which no sender we know fills.
 */
export const defaultMaxProxyBytes = 4096

/** Addresses of a header we write: both or neither, since no version can say one alone. */
export type ProxyPair = { readonly source: ProxyAddress | null; readonly destination: ProxyAddress | null }

type PairBytes = { source: Uint8Array; destination: Uint8Array }

/** Both addresses in one width: if either is IPv6, the other is written as IPv4 inside IPv6. Null if one is missing. */
export function pairBytes(pair: ProxyPair): PairBytes | null {
  if (pair.source === null || pair.destination === null) return null
  const source = bytesOf(pair.source)
  const destination = bytesOf(pair.destination)
  if (source.length === destination.length) return { source, destination }
  return { source: widen(source), destination: widen(destination) }
}

function bytesOf(peer: ProxyAddress): Uint8Array {
  const bytes = parseAddress(peer.address)
  if (bytes === null || !Number.isInteger(peer.port) || peer.port < 0 || peer.port > 65535) {
    throw new ProxyError('INTERNAL', `"${peer.address}" port ${peer.port} cannot be written into a PROXY header`)
  }
  return bytes
}

function widen(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes
  const wide = new Uint8Array(16)
  wide[10] = 0xff
  wide[11] = 0xff
  wide.set(bytes, 12)
  return wide
}
