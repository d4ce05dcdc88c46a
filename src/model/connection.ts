/** What is known about a client's connection, from its first bytes to its last. One object a connection. */
import type { AllowedFields } from '../wire/heads.ts'
import type { Fingerprint } from '../wire/ja4.ts'
import type { CloudIds } from '../wire/proxy-header.ts'
import type { Trust } from './client.ts'
import type { ClientIdentity } from './client-identity.ts'
import type { Link } from './link.ts'
import type { ConnectionText } from './records.ts'
import type { Site } from './site.ts'

export type Connection = {
  readonly id: number
  readonly link: Link
  /** As it is called at the moment */
  readonly listener: { readonly name: string | null }
  /** The client: the peer, or whom a trusted peer names in its PROXY header */
  clientAddress: string
  clientPort: number
  /** The port the client came to, for PROXY headers, and X-Forwarded-Port where `publicPort` is null */
  serverAddress: string
  serverPort: number
  /** The private connection of a cloud that the client came through, by a PROXY header */
  cloud: CloudIds | null
  /** The port of its listener, which no PROXY header changes */
  readonly listenerPort: number
  /** By its listener: the port that clients connect to, where a port mapping makes it another one */
  readonly publicPort: number | null
  /** TLS with the client */
  secure: boolean
  /** The name the client asked for in its hello, in canonical form */
  serverName: string | null
  /** The site that the connection was opened for; null on a cleartext listener */
  site: Site | null
  /** Who the client has proved to be; null where it showed no certificate, or none was asked for */
  identity: ClientIdentity | null
  /** What program the client seems to be, by its hello; null where nobody asks, and in cleartext */
  fingerprint: Fingerprint | null
  /** Of a peer that its listener trusts, from when the peer's address is known; null for any other */
  trust: Trust | null
  /** By its listener: whoever does not come by https is redirected there */
  readonly httpsOnly: boolean
  /** By its listener */
  readonly allowedFields: AllowedFields
  /** Key exchange group, for the log */
  group: string
  /** Milliseconds since 1970 */
  readonly openedAt: number
  /** Milliseconds from accept to a finished handshake */
  handshakeMs: number
  /** What filters are still at work on although their exchange is over: it counts against the client's limits */
  leftBehind: number
  /** Once the connection is gone: what is to be done when nothing is left behind any more */
  onNoneLeft: (() => void) | null
  /** Its part of the access log's lines, made with the first */
  logText: ConnectionText | null
}
