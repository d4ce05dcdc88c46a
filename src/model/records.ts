/**
 * What a gateway reports of its work, as typed records, and who listens: the access log, metrics, the list of failed
 * handshakes, and observers that a program has registered. docs/observability.md shows how to write one.
 *
 * A record is a view of what served the request or connection, not a copy: making it costs nothing. Read it while you are
 * called and keep what you need of it; it holds no bodies, and credentials only in the fields that the client sent.
 */
import type { ErrorCode, ProxyError } from '../base/errors.ts'
import type { ClientHello } from '../wire/client-hello.ts'
import type { Fingerprint } from '../wire/ja4.ts'
import type { CloudIds } from '../wire/proxy-header.ts'
import type { ClientIdentity } from './client-identity.ts'
import type { TlsFacts } from './link.ts'

/** A client's connection, as far as it is known by then. */
export interface ObservedConnection {
  /** Counts the connections of one listener */
  readonly id: number
  readonly clientAddress: string
  readonly clientPort: number
  /** The port of the listener, or what a PROXY header says */
  readonly serverPort: number
  /** The port of the listener, whatever a PROXY header says */
  readonly listenerPort: number
  /** TLS with the client */
  readonly secure: boolean
  /** By the client's hello, in canonical form */
  readonly serverName: string | null
  readonly identity: ClientIdentity | null
  /** The private connection of a cloud that it came through */
  readonly cloud: CloudIds | null
  /** Taken where requests are observed, or the site uses them */
  readonly fingerprint: Fingerprint | null
  /** Key exchange group */
  readonly group: string
  /** Milliseconds since 1970 */
  readonly openedAt: number
  /** Milliseconds from accept to a finished handshake; 0 in cleartext */
  readonly handshakeMs: number
  readonly link: { readonly tls: TlsFacts | null }
  /** Its part of the access log's lines, made with the first; null until then */
  logText: ConnectionText | null
}

/** Parts of a line of JSON, with what the later two were made of: they are made again where a request differs. */
export type ConnectionText = {
  readonly handshake: string
  readonly tls: string
  readonly start: string
  readonly host: string | null
  readonly method: string
  readonly version: number
  readonly client: RequestRecord['client'] | null
  readonly end: string
  readonly route: RequestRecord['route'] | undefined
  readonly endpoint: string | null
  readonly attempts: number
}

/** A request that has ended, well or not. Times are in milliseconds on one clock, 0 where there was no such moment or nobody
 * listened when it began. */
export interface RequestRecord {
  /** Also in the page or body of an error */
  readonly id: string
  readonly connection: ObservedConnection
  /** Whom it comes from: the connection's peer, or the client that a trusted proxy names */
  readonly client: { readonly clientAddress: string; readonly clientPort: number; readonly secure: boolean }
  /** `version` is 1 or 2; `minor` is that of HTTP/1; `fields.sent` has the field lines as the client sent them, credentials too */
  readonly head: {
    readonly method: string
    readonly version: number
    readonly minor: number
    readonly fields: { readonly sent: string }
  }
  readonly host: string
  /** In normal form, as the client has asked */
  readonly path: string
  /** With its '?', or empty */
  readonly query: string
  /** What the origin was asked for; empty where none was */
  readonly forwardPath: string
  readonly forwardQuery: string
  /** Of the answer; 0 where the client got none */
  readonly status: number
  /** Of bodies */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly startedAt: number
  /** When the last attempt was sent to its endpoint */
  readonly sentAt: number
  /** When the head of the answer came from there */
  readonly headAt: number
  readonly endedAt: number
  /** Null where no site has the request's host */
  readonly site: { readonly name: string } | null
  /** Null where no route takes the request */
  readonly route: { readonly name: string } | null
  /** The access log has no line for it (`accessLog: false`) */
  readonly unlogged: boolean
  readonly attempts: {
    /** Tries at endpoints; 0 where none was needed */
    readonly count: number
    readonly endpoint: { readonly label: string } | null
    readonly upstreamName: string | null
  }
  /** What went wrong, by docs/errors.md, and a sentence */
  readonly errorCode: ErrorCode | null
  readonly errorWhy: string | null
}

/** A request that could not be read, or broke a rule of its protocol: there is no exchange of it. */
export type RefusedRequest = {
  readonly connection: ObservedConnection
  readonly id: string
  /** 1 or 2 */
  readonly http: number
  /** 0 where the client got no answer */
  readonly status: number
  readonly error: ErrorCode
  readonly why: string
  /** Its request was recorded as done before: the answer was whole, and then the client did not read it */
  readonly afterDone: boolean
}

/** A connection that was carried as bytes, and has ended. */
export type ConnectionRecord = {
  readonly kind: 'passthrough' | 'tcp'
  readonly connection: ObservedConnection
  readonly site: { readonly name: string }
  readonly upstream: { readonly name: string }
  /** Empty where none was reached */
  readonly endpoint: string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly connectMs: number
  readonly totalMs: number
  readonly error: ErrorCode | null
  readonly why: string | null
}

/** A connection that was refused, or failed before it carried anything. */
export type FailedHandshake = {
  /** Milliseconds since 1970 */
  readonly at: number
  /** Code of docs/errors.md, and the sentence of the log */
  readonly error: string
  readonly why: string
  readonly client: string
  readonly clientPort: number
  readonly port: number
  readonly sni: string | null
  /** The TLS alert that ended it, by its name in RFC 8446, and who sent it; null where there was none */
  readonly alert: string | null
  readonly alertFrom: 'gateway' | 'client' | null
  /** Empty where its hello was not read */
  readonly offered: Offered | Record<string, never>
}

/** What a client has offered, by name; without GREASE values, and bounded */
export type Offered = {
  readonly alpnOffered: readonly string[]
  readonly ja4: string
  readonly groupsOffered: readonly string[]
  readonly signatureAlgorithms: readonly string[]
  readonly versions: readonly string[]
  readonly ciphersOffered: readonly string[]
}

/** A connection that the gateway has ended for the rule that its peer broke, or for the memory that it held. */
export type EndedConnection = { readonly error: ErrorCode; readonly why: string } & (
  | { readonly kind: 'client'; readonly connection: ObservedConnection }
  | { readonly kind: 'backend'; readonly endpoint: string }
  | { readonly kind: 'memory'; readonly address: string }
)

export type CertificateRecord = {
  /**
   * `replaced`: a new certificate is in force. `broken`: its files cannot be used. `mended`: they can again. `added` and
   * `removed`: in a folder. `stays`: its files are gone, and nothing else has its names. `renewal-failed`: it could not be
   * ordered or renewed, and that is tried again.
   */
  readonly kind: 'replaced' | 'broken' | 'mended' | 'added' | 'removed' | 'stays' | 'renewal-failed'
  /** The file, or the name of an ordered certificate */
  readonly source: string
  /** Of what is in force now; empty where nothing is */
  readonly names: readonly string[]
  /** Milliseconds since 1970 */
  readonly notAfter: number | null
  readonly why: string | null
}

/** Something was thrown that should not have been: by the gateway, a filter or an observer. */
export type Fault = { readonly where: string; readonly error: unknown }

/**
 * Hears of what it has a method for. It is called within the work that it hears of: be quick, and leave what takes long to
 * a queue of your own. What it throws, or a promise of it rejects with, is logged once with its name and harms nobody.
 */
export type Observer = {
  /** For the log, should it throw */
  readonly name: string
  request?(record: RequestRecord): void
  refusedRequest?(record: RefusedRequest): void
  /** A passthrough or tcp connection has ended */
  connection?(record: ConnectionRecord): void
  /** A client's TLS handshake is done */
  handshake?(connection: ObservedConnection): void
  failedHandshake?(record: FailedHandshake): void
  endedConnection?(record: EndedConnection): void
  certificate?(record: CertificateRecord): void
  fault?(record: Fault): void
}

export type RecordKind = Exclude<keyof Observer, 'name'>
export type RecordOf<K extends RecordKind> = Parameters<NonNullable<Observer[K]>>[0]

/** The alert that ended a handshake, by its name in RFC 8446 section 6, and whose it was */
export type EndingAlert = { readonly name: string; readonly from: 'gateway' | 'client' }

/** Where the data plane reports to. Nothing here throws. */
export interface Events {
  /** Whether anybody reads the times of requests, from the next request on: they are not taken otherwise */
  readonly timed: boolean
  /** Whether anybody reads the fingerprints of clients */
  readonly fingerprints: boolean
  request(record: RequestRecord): void
  /** A request that never became an exchange. `http`: 1 or 2; `status`: what it was answered with, or 0 */
  refusedRequest(connection: ObservedConnection, http: number, error: ProxyError, status: number, id: string): void
  /** A client has not read the end of an answer whose exchange is over */
  unreadAnswer(connection: ObservedConnection, error: ProxyError, id: string): void
  connection(record: ConnectionRecord): void
  handshake(connection: ObservedConnection): void
  failedHandshake(
    connection: ObservedConnection,
    error: ProxyError,
    hello: ClientHello | null,
    alert: EndingAlert | null,
  ): void
  /** A client's connection that we have ended, for the rule that it broke */
  ended(connection: ObservedConnection, error: ProxyError): void
  /** The same of a backend's */
  backendViolated(endpoint: string, error: ProxyError): void
  /** A client's or a backend's that was reset because it held the most when the memory budget was spent */
  overBudget(remoteAddress: string, error: ProxyError): void
  fault(where: string, error: unknown): void
}
