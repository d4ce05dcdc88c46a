/**
 * A connection that begins in cleartext and changes to TLS on request: writes what its dialog says, until the client may begin its
 * handshake or is refused. Nothing that comes here reaches a backend.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import { sniffProtocol } from '../../wire/sniff.ts'
import type { StartTlsDialog } from '../../wire/start-tls/dialog.ts'
import { dialogOf, type ListenerProtocol, type StartTls } from '../../wire/start-tls/dialogs.ts'
import { isPostgres, PostgresDialog } from '../../wire/start-tls/postgres.ts'

type Outcome =
  /** The next byte begins the ClientHello */
  | { readonly kind: 'tls' }
  /** What is to be said has been written; `error` is null for a client that said goodbye */
  | { readonly kind: 'over'; readonly error: ProxyError | null }

export class StartTlsOpening {
  readonly protocol: StartTls
  private readonly connection: Connection
  private readonly dialog: StartTlsDialog
  private begun = false
  private heard = false

  constructor(protocol: StartTls, connection: Connection, dialog: StartTlsDialog) {
    this.protocol = protocol
    this.connection = connection
    this.dialog = dialog
  }

  /** The client may speak, or is spoken to. */
  begin(): void {
    if (this.begun) return
    this.begun = true
    this.say(this.dialog.greeting)
  }

  /** @returns null while it goes on */
  push(chunk: Buffer): Outcome | null {
    this.begin()
    if (!this.heard && this.protocol !== 'postgres') {
      const stranger = this.stranger(chunk)
      if (stranger !== null) return { kind: 'over', error: stranger }
    }
    this.heard = true
    const { reply, next, refused } = this.dialog.push(chunk)
    this.say(reply)
    if (next === 'more') return null
    if (next === 'tls') return { kind: 'tls' }
    return { kind: 'over', error: refused && new ProxyError(refused.code, refused.why) }
  }

  /** The client has ended its side. */
  ended(): ProxyError | null {
    const refused = this.dialog.ended()
    return refused && new ProxyError(refused.code, refused.why)
  }

  /** The gateway ends it, in the words of the protocol. */
  goodbye(why: string): void {
    this.begun = true
    this.say(this.dialog.goodbye(why))
  }

  release(): void {
    this.dialog.release()
  }

  /** Who begins like a client of something else: one of TLS first gets nothing that it could read. */
  private stranger(chunk: Buffer): ProxyError | null {
    const { protocol } = this
    if (sniffProtocol(chunk) === 'tls') {
      const why = `a TLS ClientHello where ${protocol} begins in cleartext: use STARTTLS, or a port that begins with TLS`
      return new ProxyError('TLS_ON_PLAIN_PORT', why)
    }
    if (isPostgres(chunk) !== true) return null
    return new ProxyError('POSTGRES_NOT_SERVED', `a PostgreSQL client on a port for ${protocol}`)
  }

  private say(text: string): void {
    if (text !== '') this.connection.link.writeText(text)
  }
}

/** Of a listener that has a protocol of its own. */
export function openingOf(protocol: ListenerProtocol, connection: Connection, snapshot: Snapshot): StartTlsOpening {
  // A client without a name meets the first site; all of them know this one.
  const host =
    snapshot.sitesOf(connection.listener.name).startTls.get(protocol)?.[0]?.name.replace(/^\*\./, '') ?? 'localhost'
  return new StartTlsOpening(protocol, connection, dialogOf(protocol, host, connection.link.share))
}

/** Of a client that begins with a packet of PostgreSQL. `cleartext`: the listener does not end TLS. */
export function postgresOpening(connection: Connection, snapshot: Snapshot, cleartext: boolean): StartTlsOpening {
  const why = cleartext
    ? 'a PostgreSQL client on a port for cleartext HTTP: it is served on ports that end TLS'
    : 'a PostgreSQL client, and no site has tcp: { startTls: postgres }'
  const served = !cleartext && snapshot.sitesOf(connection.listener.name).startTls.has('postgres')
  const unserved = served ? null : ({ code: 'POSTGRES_NOT_SERVED', why } as const)
  return new StartTlsOpening('postgres', connection, new PostgresDialog(unserved))
}
