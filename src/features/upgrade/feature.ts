/** `upgrade`: the protocols that a route lets clients and backends switch to (RFC 9110 section 7.8). */
import type { Formed } from '../../config/engine/forms.ts'
import { placeOf } from '../../config/engine/tree.ts'
import type { Stage } from '../../model/stage.ts'
import { hasBody } from '../../proxy/seam/backend.ts'
import type { RequestHead } from '../../wire/heads.ts'
import { feature } from '../feature.ts'

function protocol(text: string): Formed<string> {
  if (text.length > 64 || !/^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/i.test(text))
    return { wrong: `'${text}' is not the name of a protocol`, hint: 'as in websocket, tcp or SPDY/3.1' }
  return { ok: text.toLowerCase() === 'websocket' ? 'websocket' : text }
}

/** Protocols in which a client can ask for anything that the backend has. */
const carriesHttp = /^(?:h2c|tls|http)(?:\/|$)/i

export const upgrade = feature({
  docs: 'The protocols that a route lets clients and backends switch to, beside or instead of WebSocket.',
  row: {
    kind: {
      type: 'list',
      of: { type: 'string', form: protocol, write: 'protocol' },
      single: true,
      empty: true,
    },
    defaultDocs: '`websocket`, or what the level above says',
    docs:
      'Protocols that a client may upgrade to (`Upgrade`, or extended CONNECT over HTTP/2), as backends expect them to be written. What is not ' +
      'listed is not passed on, `websocket` included; an empty list allows none. Only WebSocket requires a request without a body. See ' +
      '[upgrades](upgrades.md).',
    example: '[websocket, tcp]',
  },
  inherits: 'replaces',
  check(value, node, problems) {
    for (const [index, name] of value.entries()) {
      if (name === undefined || !carriesHttp.test(name)) continue
      problems.warn(
        placeOf(node, index),
        `after an upgrade to ${name}, clients can send the backend any request, past all rules of this gateway`,
        'remove it unless every client of this route may ask the backend for anything',
      )
    }
  },
  compile: values => ({ inside: upgradeStage(values.at(-1) ?? []) }),
  explain: names => (names.length === 0 ? 'none' : names.join(', ')),
})

function upgradeStage(names: readonly string[]): Stage {
  const allowed = new Map(names.map(name => [name.toLowerCase(), name]))
  return inner => (exchange, sink) => {
    const { head } = exchange
    if (head.upgrade !== null) exchange.upgrade = chosen(head.upgrade, head, allowed)
    return inner(exchange, sink)
  }
}

/** The first protocol that the client offers and the route allows, as the configuration writes it. */
function chosen(offered: string, head: RequestHead, allowed: ReadonlyMap<string, string>): string | null {
  for (const each of offered.split(',')) {
    const name = allowed.get(each.trim().toLowerCase())
    if (name !== undefined && !(name === 'websocket' && hasBody(head))) return name
  }
  return null
}
