/**
 * WebSocket handshakes between versions of HTTP: over HTTP/1.1 the two sides prove with a key that they mean it
 * (RFC 6455 section 4), over HTTP/2 they do not (RFC 8441 section 5). Where only one side has a key, we stand in for
 * the other.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Fields } from '../../wire/fields.ts'
import type { RequestHead } from '../../wire/heads.ts'
import { hasBody } from './backend.ts'

export const keyField = 'sec-websocket-key'
export const acceptField = 'sec-websocket-accept'

export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** Toward an HTTP/1.1 backend. */
export class WebSocketHandshake {
  /** The key's line, where the client had none */
  readonly keyLine: string
  private readonly accept: string

  /** @param inClientsPlace a WebSocket of a client that speaks HTTP/2, and sent none */
  constructor(inClientsPlace: boolean) {
    const key = inClientsPlace ? randomBytes(16).toString('base64') : ''
    this.keyLine = inClientsPlace ? `${keyField}: ${key}\r\n` : ''
    this.accept = inClientsPlace ? acceptFor(key) : ''
  }

  /** Checks a 101, and takes out of it what the client does not expect. A client with a key of its own checks itself. */
  problem(fields: Fields): string | null {
    if (this.accept === '') return null
    if (fields.get(acceptField) !== this.accept) return 'answered a WebSocket handshake with a wrong key'
    fields.delete(acceptField)
    return null
  }
}

/**
 * The upgrade that the backend of a route is asked for if nothing else is written there (features/upgrade), or null. Other
 * protocols are not spoken of: an upgrade is optional to begin with, and one that nobody has named could turn the connection into
 * something that we cannot see (RFC 9931).
 */
export const upgradeOf = (head: RequestHead): string | null =>
  head.upgrade === 'websocket' && !hasBody(head) ? 'websocket' : null
