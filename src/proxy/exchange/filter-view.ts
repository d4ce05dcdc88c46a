/** An exchange as filters see it: what they may read and change, and nothing of the plumbing. Made only when a filter runs. */
import type { Client } from '../../model/client.ts'
import type { Connection } from '../../model/connection.ts'
import type { FilterExchange } from '../../model/filter.ts'
import { targetClass } from '../../wire/field-names.ts'
import { type ResponseHead, reasonOf } from '../../wire/heads.ts'
import { checkedStatus, statusWithoutBody } from './filter-answer.ts'
import { type FilteredRequest, RequestFields, ResponseFields } from './filter-fields.ts'

/** What the view is of. */
export interface Viewed extends FilteredRequest {
  readonly id: string
  readonly client: Client
  forwardPath: string
  forwardQuery: string
  readonly route: { readonly name: string } | null
  readonly responseHead: ResponseHead | null
  /** The response has no body, whatever its fields say */
  readonly responseBodyless: boolean
}

type ReadBody = FilterExchange['request']['readBody']

export function filterView(exchange: Viewed, connection: Connection, readBody: ReadBody): FilterExchange {
  return {
    get id() {
      return exchange.id
    },
    client: {
      address: exchange.client.clientAddress,
      port: exchange.client.clientPort,
      scheme: exchange.client.secure ? 'https' : 'http',
      secure: connection.secure,
      serverName: connection.serverName,
      identity: connection.identity,
      fingerprint: connection.fingerprint,
    },
    request: {
      method: exchange.head.method,
      host: exchange.host,
      get path() {
        return exchange.forwardPath
      },
      set path(path) {
        exchange.forwardPath = checkedTarget(path, '/')
      },
      get query() {
        return exchange.forwardQuery
      },
      set query(query) {
        exchange.forwardQuery = query === '' ? '' : checkedTarget(query, '?')
      },
      headers: new RequestFields(exchange),
      readBody,
    },
    get response() {
      const head = exchange.responseHead
      if (head === null) return null
      return {
        get status() {
          return head.status
        },
        set status(given) {
          const status = checkedStatus(given)
          const empty = exchange.responseBodyless || (head.contentLength === 0 && !head.chunked)
          if (statusWithoutBody(status) && !empty)
            throw new TypeError(`the response has a body, and a ${status} has none`)
          head.status = status
          head.reason = reasonOf(status)
        },
        headers: new ResponseFields(head),
      }
    },
    route: exchange.route?.name ?? '',
    state: new Map(),
  }
}

/** A filter's own path must end neither the request line nor itself. */
function checkedTarget(text: unknown, first: '/' | '?'): string {
  if (typeof text !== 'string' || !text.startsWith(first))
    throw new TypeError(`'${text}' does not begin with '${first}'`)
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > 0xff || targetClass[code] === 0 || (first === '/' && code === 0x3f))
      throw new TypeError(`'${text}' has a character that must be percent-encoded, at ${at}`)
  }
  return text
}
