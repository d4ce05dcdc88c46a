/** Rows of limits, timeouts, the log and alerts. */

import type { Limits, Timeouts } from '../../../src/model/snapshot.ts'
import { rawTcp } from '../../harness/raw.ts'
import type { Effect, Table } from './effect.ts'
import { ca, otherCa } from './peers.ts'
import type { Running } from './running.ts'

const base = () => ({
  listen: [{ port: 0, address: '127.0.0.1', cleartext: 'serve' }],
  log: { access: false },
  sites: [{ host: 'a.test', routes: [{ respond: { body: 'here' } }] }],
})

/** The status of a request while another connection is open */
async function besideAnother(running: Running): Promise<string> {
  const open = await rawTcp(running.gateway.ports[0] as number)
  // It is counted once it has been answered.
  open.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await open.until(text => text.endsWith('here'))
  const status = await running.status()
  open.destroy()
  await open.closed()
  return status
}

const limit =
  (name: keyof Limits) =>
  ({ snapshot }: Running) =>
    snapshot.limits[name]

/** Every connection, and every exchange as it begins, takes them from the snapshot. */
const timeout = (name: string, field: keyof Timeouts): Record<string, Effect> => ({
  [`timeouts.${name}`]: { to: '7s', look: ({ snapshot }) => snapshot.timeouts[field], sees: 7_000 },
})

/** Those of a route that says nothing of its own */
const routeTimeout = (name: string, field: string): Record<string, Effect> => ({
  [`timeouts.${name}`]: {
    to: '7s',
    look: running => (running.route()?.timeouts as Record<string, number> | undefined)?.[field],
    sees: 7_000,
  },
})

const limits: Table = {
  name: 'limits and timeouts',
  base,
  effects: {
    'limits.connections': { to: 1, look: besideAnother, sees: (status: unknown) => status !== '200' },
    'limits.connectionsPerClient': { to: 1, look: besideAnother, sees: (status: unknown) => status !== '200' },
    'limits.hello': { to: '5kb', look: limit('helloBytes'), sees: 5120 },
    'limits.streams': { to: 7, look: limit('streams'), sees: 7 },
    'limits.memory': { to: '128mb', look: ({ gateway }) => gateway.budget.limit, sees: 64 * 1024 * 1024 },
    ...timeout('handshake', 'handshakeMs'),
    ...timeout('head', 'headMs'),
    ...timeout('bodyGrace', 'bodyGraceMs'),
    ...timeout('keepAlive', 'keepAliveMs'),
    ...timeout('poolIdle', 'poolIdleMs'),
    ...routeTimeout('bodyIdle', 'bodyIdleMs'),
    ...routeTimeout('connect', 'connectMs'),
    ...routeTimeout('response', 'responseMs'),
    ...routeTimeout('filter', 'filterMs'),
    ...routeTimeout('total', 'totalMs'),
    ...routeTimeout('tunnelIdle', 'tunnelIdleMs'),
    'timeouts.idle': {
      to: '7s',
      look: running => [running.snapshot.timeouts.idleMs, running.route()?.timeouts.idleMs],
      sees: [7_000, 7_000],
    },
    // Taken from there when it drains
    'timeouts.drain': { to: '7s', look: ({ gateway }) => gateway.config.timeouts.drainMs, sees: 7_000 },
    'timeouts.resolve': {
      given: { 'sites[].routes': [{ to: 'http://localhost:1' }] },
      to: '7s',
      look: ({ upstream }) =>
        (upstream.set.destinations[0] as unknown as { source: { terms: { resolveMs: number } } }).source.terms
          .resolveMs,
      sees: 7_000,
    },
  },
}

const log: Table = {
  name: 'the log',
  base,
  effects: {
    'log.access': { to: true, look: running => running.records(), sees: 1 },
    'log.format': {
      to: 'text',
      look: running => running.logged(() => running.gateway.log.write('error', 'marked'))[0],
      sees: (first: unknown) => /\d/.test(String(first)),
    },
    'log.level': {
      to: 'error',
      look: running => running.logged(() => running.gateway.log.write('warn', 'marked')).includes('marked'),
      sees: false,
    },
  },
}

const url = 'https://127.0.0.1:9/hook'
const target = ({ parts }: Running) => parts.reports.alerts.target

const alerts: Table = {
  name: 'alerts',
  base: () => ({
    ...base(),
    alerts: { url, token: 'a-token', ca: ca.file, headers: { 'x-team': 'a' }, days: [9] },
  }),
  effects: {
    alerts: { to: undefined, look: running => target(running)?.url ?? null, sees: null },
    'alerts.url': { to: `${url}/2`, look: running => target(running)?.url, sees: `${url}/2` },
    'alerts.days': { to: [8], look: ({ parts }) => parts.reports.expiry.alertDays, sees: [8] },
    'alerts.headers': {
      to: { 'x-team': 'b' },
      look: running => target(running)?.headers,
      sees: { 'x-team': 'b', authorization: 'Bearer a-token' },
    },
    'alerts.token': {
      to: 'b-token',
      look: running => target(running)?.headers,
      sees: { 'x-team': 'a', authorization: 'Bearer b-token' },
    },
    'alerts.timeout': { to: '30s', look: running => target(running)?.timeoutMs, sees: 30_000 },
    'alerts.ca': { to: otherCa.file, look: running => target(running)?.trust.ca, sees: otherCa.certificatePem },
  },
}

export const limitTables: readonly Table[] = [limits, log, alerts]
