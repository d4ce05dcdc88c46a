/** A listener as its connections see it: its options, what it counts, and who is told of a drain. */
import type { CidrSet } from '../../base/ip.ts'
import type { Trust } from '../../model/client.ts'
import type { Connection } from '../../model/connection.ts'
import type { AllowedFields } from '../../wire/heads.ts'
import type { ListenerProtocol } from '../../wire/start-tls/dialogs.ts'
import type { Services } from './services.ts'

export type ListenerOptions = {
  /** For sites that are served on some listeners only */
  readonly name: string | null
  /** IP address; of a Unix socket its path */
  readonly address: string
  /** 0 for a Unix socket */
  readonly port: number
  /** Permissions of a Unix socket; null: it is none */
  readonly unixMode: number | null
  readonly backlog: number | null
  /** 0 for none */
  readonly keepAliveMs: number
  /** Where clients connect to, if not to `port` */
  readonly publicPort: number | null
  /** Peers that must send a PROXY header; null for none */
  readonly proxyFrom: CidrSet | null
  /** Of HTTP: peers that may say who the client is; null for none */
  readonly trust: Trust | null
  /** Null: TLS */
  readonly cleartext: 'redirect' | 'serve' | null
  /** Begins in cleartext with this protocol, and changes to TLS on request */
  readonly startTls: ListenerProtocol | null
  readonly reusePort: boolean
  /** That clients may send although they are dropped otherwise; a connection keeps those that it began with */
  readonly allowedFields: AllowedFields
}

/** A client that has connected and said nothing for so long may have to make room. */
export const silentMs = 1_000

/** What a connection is used for at the moment, for whoever looks at all of them. */
export type ConnectionUse = {
  readonly protocol: 'opening' | 'http/1.1' | 'h2' | 'upgraded' | 'passthrough' | 'tcp'
  /** Requests since it was opened, and those that are under way */
  readonly requests: number
  readonly underWay: number
}

/** Something with a connection of its own that a drain should end in its own way. */
export interface Drainable {
  readonly connection: Connection
  use(): ConnectionUse
  drain(): void
  /** The drain's deadline has passed. */
  cut(): void
  /** Closes the connection if nothing is under way on it, to make room. @returns whether it did */
  closeIfIdle(): boolean
}

export interface Holder {
  readonly services: Services
  readonly options: ListenerOptions
  /** Connections that are gone and still count, for what filters are at work on */
  lingering: number
  hold(held: Drainable): void
  letGo(held: Drainable): void
  /**
   * Counts a connection under its client. Behind a trusted proxy that is known only after the PROXY header.
   * @returns false when the client has as many as it may
   */
  count(client: string): boolean
  /**
   * Counts a connection of a site that has a limit for each client; `key` has both. Whatever the answer, `leaveSite` follows.
   * @returns false when the client has as many there as it may
   */
  enterSite(key: string, most: number): boolean
  leaveSite(key: string): void
  /** Of every connection that was accepted, exactly once. `client` is the address it was counted under, if it was, and `entered` whether it has a unit of `limits.connections`. */
  closed(client: string | null, entered: boolean): void
}
