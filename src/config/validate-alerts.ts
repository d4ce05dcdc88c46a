/** The webhook for alerts, from rows to config.ts. */
import type { AlertsConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { alertsShape } from './schema/alerts.ts'

/** Null: there is none. */
export function validateAlerts(
  raw: Raw<typeof alertsShape> | null | undefined,
  tree: Node,
  problems: Problems,
): AlertsConfig | null | undefined {
  const node = childOf(tree, 'alerts')
  if (!node) return null
  const alerts = whole(alertsShape, raw ?? undefined)
  if (!alerts) return undefined
  const { url, days, headers, token, caFile } = alerts
  const plain = url.startsWith('http:')
  if (plain && caFile !== null)
    problems.error(placeOfKey(node, 'ca'), 'ca is for https, and the url is http', 'write https://, or remove ca')
  const { hostname } = new URL(url)
  if (plain && hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.'))
    problems.warn(placeOf(node, 'url'), 'alerts are sent in cleartext: anyone on the path can read and forge them')
  for (const name of headers.keys()) {
    if (ownHeaders.has(name) || (name === 'authorization' && token !== null)) {
      const why = name === 'authorization' ? 'token sets authorization' : `${name} is set by the gateway itself`
      problems.error(placeOfKey(childOf(node, 'headers')!, name), why, 'remove it')
    }
  }
  return { ...alerts, days: [...new Set(days)].sort((a, b) => b - a) }
}

const ownHeaders = new Set(['content-length', 'content-type', 'connection', 'host', 'transfer-encoding'])
