/** The webhook for alerts, from rows to config.ts. */
import type { AlertsConfig } from './config.ts'
import type { Problems } from './problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './tree.ts'

/** As readObject gives it; undefined is what was wrong, and reported. */
export type RawAlerts = {
  url: string | undefined
  days: number[] | undefined
  headers: Map<string, string | undefined> | undefined
  token: string | null | undefined
  caFile: string | null | undefined
}

/** Null: there is none. */
export function validateAlerts(
  raw: RawAlerts | null | undefined,
  tree: Node,
  problems: Problems,
): AlertsConfig | null | undefined {
  const node = childOf(tree, 'alerts')
  if (!node) return null
  if (raw?.url === undefined || !raw.days || !raw.headers || raw.token === undefined || raw.caFile === undefined)
    return undefined
  const { url, days, token, caFile } = raw
  const plain = url.startsWith('http:')
  if (plain && caFile !== null)
    problems.error(placeOfKey(node, 'ca'), 'ca is for https, and the url is http', 'write https://, or remove ca')
  const { hostname } = new URL(url)
  if (plain && hostname !== 'localhost' && hostname !== '[::1]' && !hostname.startsWith('127.'))
    problems.warn(placeOf(node, 'url'), 'alerts go out in cleartext: whoever is on the path reads and forges them')
  const headers: [string, string][] = []
  for (const [name, value] of raw.headers) {
    if (ownHeaders.has(name) || (name === 'authorization' && token !== null)) {
      const why = name === 'authorization' ? 'token sets authorization' : `${name} is set by the gateway itself`
      problems.error(placeOfKey(childOf(node, 'headers')!, name), why, 'remove it')
    } else if (value !== undefined) headers.push([name, value])
  }
  return { url, days: [...new Set(days)].sort((a, b) => b - a), headers, token, caFile }
}

const ownHeaders = new Set(['content-length', 'content-type', 'connection', 'host', 'transfer-encoding'])
