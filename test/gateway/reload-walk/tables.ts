/** All tables of the walk. */
import { accessLog } from './access-log-effects.ts'
import type { Table } from './effect.ts'
import { listeners, matches, routes, siteRows } from './http-effects.ts'
import { limitTables } from './limit-effects.ts'
import { managedTables } from './managed-effects.ts'
import { closePeers } from './peers.ts'
import { tlsTables } from './tls-effects.ts'
import { upstreams } from './upstream-effects.ts'

export const tables: readonly Table[] = [
  listeners,
  routes,
  siteRows,
  matches,
  ...upstreams,
  ...tlsTables,
  ...limitTables,
  accessLog,
  ...managedTables,
]

export const closeTables = closePeers
