/** An exchange as filters see it: what they may read and change, and nothing of the plumbing. Made only when a filter runs. */
import type { Connection } from '../model/connection.ts'
import type { FilterExchange } from '../model/filter.ts'
import type { RequestHead, ResponseHead } from '../wire/heads.ts'

/** What the view is of. */
export interface Viewed {
  readonly id: string
  readonly head: RequestHead
  readonly host: string
  path: string
  query: string
  readonly route: { readonly name: string } | null
  readonly responseHead: ResponseHead | null
}

export function filterView(exchange: Viewed, connection: Connection): FilterExchange {
  return {
    get id() {
      return exchange.id
    },
    client: {
      address: connection.clientAddress,
      port: connection.clientPort,
      secure: connection.secure,
      serverName: connection.serverName,
      identity: connection.identity,
      fingerprint: connection.fingerprint,
    },
    request: {
      method: exchange.head.method,
      host: exchange.host,
      get path() {
        return exchange.path
      },
      set path(path) {
        exchange.path = checkedTarget(path, '/')
      },
      get query() {
        return exchange.query
      },
      set query(query) {
        exchange.query = query === '' ? '' : checkedTarget(query, '?')
      },
      headers: exchange.head.fields,
    },
    get response() {
      const head = exchange.responseHead
      if (head === null) return null
      return {
        get status() {
          return head.status
        },
        set status(status) {
          head.status = status
        },
        headers: head.fields,
      }
    },
    route: exchange.route?.name ?? '',
    state: new Map(),
  }
}

/** A filter's own path must not be able to end the request line. */
function checkedTarget(text: string, first: string): string {
  if (!text.startsWith(first) || !/^[\x21-\x7e]+$/.test(text)) {
    throw new TypeError(`'${text}' does not begin with '${first}', or has a character that must be percent-encoded`)
  }
  return text
}
