/**
 * One connection to Redis or Valkey that is either up or down, and says so at once: nothing is queued while it is down, every
 * command has a deadline, and a connection that misses one is dropped, because it would hang again. Reconnecting
 * never gives up; pauses grow and have jitter, so that a fleet does not reconnect all at once.
 *
 * The client library's own reconnecting is disabled: it has no deadline for a server that accepts a connection and then
 * sends nothing. Error texts of the server are shortened and stripped of control characters before they are logged; the password never is.
 */

import { isIP } from 'node:net'
import type { createClient } from '@redis/client'
import { nowMs } from '../base/deadlines.ts'
import { messageOf } from '../base/errors.ts'
import type { ServerTrust } from '../base/http-request.ts'
import { StorageError } from '../model/storage.ts'

export type RedisServer = {
  readonly host: string
  readonly port: number
  readonly database: number
  readonly username: string | null
  readonly password: string | null
  /** Null for cleartext. `certificate` is the client certificate, presented if the server asks for one */
  readonly tls:
    | (ServerTrust & { readonly certificate: { readonly chain: string; readonly key: string } | null })
    | null
}

type LinkOptions = {
  readonly server: RedisServer
  readonly deadlineMs: number
  /** Called when the connection is lost, and when it is back */
  readonly notice: (text: string) => void
  /** A message on a subscribed channel */
  readonly message: (text: string) => void
  /** Runs on each new connection before it is used for anything else */
  readonly prepare: (connection: RedisConnection) => Promise<void>
  /** The connection is ready for use */
  readonly ready: () => void
}

type Client = ReturnType<typeof createClient>
export type RedisArgument = string | Buffer

/** An open connection. */
export type RedisConnection = {
  /** Strings in the reply are Buffers */
  send(...args: readonly RedisArgument[]): Promise<unknown>
  subscribe(channel: string): Promise<void>
}

const firstPauseMs = 100
const maxPauseMs = 5_000
/** A connection that lasted this long was stable: pauses start small again. */
const steadyMs = 10_000

export class RedisLink {
  readonly name: string
  readonly #options: LinkOptions
  #client: Client | null = null
  /** The connection that is being opened */
  #opening: Client | null = null
  #connection: RedisConnection | null = null
  #timer: NodeJS.Timeout | null = null
  #failures = 0
  #readyAt = 0
  #awaySince: number | null = null
  #reason: StorageError
  #closed = false

  constructor(options: LinkOptions) {
    const { host, port } = options.server
    this.name = `redis ${isIP(host) === 6 ? `[${host}]` : host}:${port}`
    this.#options = options
    this.#reason = new StorageError('away', `${this.name} is not connected yet`)
  }

  /** Resolves when the first attempt has succeeded or failed. */
  async open(): Promise<void> {
    const { server, deadlineMs, prepare, message } = this.#options
    // Loaded only if Redis is configured: on Node it takes a fifth of the start of a process.
    const { createClient, RESP_TYPES } = await import('@redis/client')
    if (this.#closed) return
    const client = createClient(clientOptions(server, deadlineMs))
    this.#opening = client
    client.on('error', error => this.#down(client, error))
    client.on('end', () => this.#down(client, new Error('the connection was closed')))
    const connection: RedisConnection = {
      send: (...args) => client.sendCommand([...args], { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } }),
      subscribe: channel => client.subscribe(channel, message),
    }
    try {
      await within(deadlineMs, client.connect())
      await within(deadlineMs, prepare(connection))
    } catch (error) {
      this.#down(client, error)
      return
    }
    // It may have been lost or closed in the meantime.
    if (this.#opening !== client) return
    this.#opening = null
    this.#client = client
    this.#connection = connection
    this.#readyAt = nowMs()
    if (this.#awaySince !== null) {
      const seconds = Math.round((nowMs() - this.#awaySince) / 1000)
      this.#awaySince = null
      this.#options.notice(`${this.name} is reachable again after ${seconds} s`)
    }
    this.#options.ready()
  }

  /** Throws only StorageError. */
  async run<T>(doing: string, act: (connection: RedisConnection) => Promise<T>): Promise<T> {
    const [client, connection] = [this.#client, this.#connection]
    if (client === null || connection === null)
      throw new StorageError(this.#reason.kind, `${doing}: ${this.#reason.message}`, this.#reason)
    try {
      return await within(this.#options.deadlineMs, act(connection))
    } catch (error) {
      // A connection that hangs once hangs again. If the server has become a replica, a new lookup of its name may lead to the primary.
      if (error instanceof Overdue || /^READONLY\b/.test(messageOf(error))) this.#down(client, error)
      throw storageErrorOf(error, this.name, doing)
    }
  }

  #down(client: Client, error: unknown): void {
    if (client !== this.#client && client !== this.#opening) return
    if (client === this.#client && nowMs() - this.#readyAt >= steadyMs) this.#failures = 0
    this.#client = null
    this.#opening = null
    this.#connection = null
    destroy(client)
    if (this.#closed) return
    this.#reason = storageErrorOf(error, this.name, null)
    if (this.#awaySince === null) {
      this.#awaySince = nowMs()
      this.#options.notice(`${this.#reason.message}; trying again until it is reachable`)
    }
    const pause = Math.min(firstPauseMs * 2 ** Math.min(this.#failures++, 10), maxPauseMs)
    this.#timer = setTimeout(() => void this.open(), pause * (0.5 + Math.random())).unref()
  }

  close(): void {
    this.#closed = true
    this.#reason = new StorageError('away', `${this.name} was closed here`)
    if (this.#timer) clearTimeout(this.#timer)
    for (const client of [this.#client, this.#opening]) if (client) destroy(client)
    this.#client = null
    this.#opening = null
    this.#connection = null
  }
}

function clientOptions(server: RedisServer, deadlineMs: number): NonNullable<Parameters<typeof createClient>[0]> {
  const { host, port, tls } = server
  const common = { host, port, connectTimeout: deadlineMs, reconnectStrategy: false } as const
  const secure = tls && {
    ...common,
    tls: true as const,
    minVersion: 'TLSv1.2' as const,
    ...(isIP(host) === 0 && { servername: host }),
    ...(tls.ca !== null && { ca: tls.ca }),
    ...(tls.check && { checkServerIdentity: tls.check }),
    ...(tls.certificate && { cert: tls.certificate.chain, key: tls.certificate.key }),
  }
  return {
    socket: secure ?? common,
    database: server.database,
    ...(server.username !== null && { username: server.username }),
    ...(server.password !== null && { password: server.password }),
    // RESP3 carries messages and replies on one connection, in order.
    RESP: 3,
    disableOfflineQueue: true,
    // CLIENT SETINFO would need one more permission and has no use here.
    disableClientInfo: true,
    maintNotifications: 'disabled',
  }
}

function destroy(client: Client): void {
  try {
    client.destroy()
  } catch {
    // Already closed.
  }
}

class Overdue extends StorageError {}

/** A reply or an error that arrives after the deadline is ignored. */
async function within<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Overdue('away', `no answer within ${deadlineMs} ms`)), deadlineMs)
  })
  try {
    return await Promise.race([work, overdue])
  } finally {
    clearTimeout(timer)
  }
}

/** Classifies an error by its first word (the server's error code), or as no reply at all. */
function storageErrorOf(error: unknown, name: string, doing: string | null): StorageError {
  if (error instanceof StorageError && !(error instanceof Overdue)) return error
  const text = messageOf(error)
    .replace(/[^\x20-\x7e]/g, ' ')
    .slice(0, 200)
  const message = `${doing === null ? '' : `${doing}: `}${name}: ${text}`
  const code = /^[A-Z]+\b/.exec(text)?.[0]
  switch (code) {
    case 'OOM':
    case 'MISCONF':
      return new StorageError('full', message, error)
    case 'WRONGTYPE':
      return new StorageError('damaged', message, error)
    case 'NOAUTH':
    case 'WRONGPASS':
    case 'NOPERM':
    case 'NOPROTO':
    case 'MOVED':
    case 'CROSSSLOT':
    case 'ERR':
      return new StorageError('refused', message, error)
    default:
      return new StorageError('away', message, error)
  }
}
