/** The worst targets of path patterns and names, and the worst tables of them. */

import { changeCookie } from '../../../src/features/cookies/set-cookie.ts'
import { outside } from '../../../src/features/location/reference.ts'
import { upgrade } from '../../../src/features/upgrade/feature.ts'
import type { Route } from '../../../src/model/route.ts'
import { needsNoBody, type Sink, type Stage, type StagedExchange } from '../../../src/model/stage.ts'
import { compileHash } from '../../../src/proxy/upstream/hash-key.ts'
import { compileCaptures, restOf } from '../../../src/route/captures.ts'
import { routeTable } from '../../../src/route/match.ts'
import { Names } from '../../../src/route/names.ts'
import { Paths } from '../../../src/route/paths.ts'
import { readPath } from '../../../src/route/readings.ts'
import { compileWildcard, matchesWildcard } from '../../../src/route/wildcard.ts'
import { Fields } from '../../../src/wire/fields.ts'
import { strictForm } from '../../../src/wire/path-form.ts'
import { nothingLasts } from '../../harness/stage-peers.ts'
import { type Worst, worst } from './worst.ts'

const anyone = { identity: null, fingerprint: null, cloud: null }

const exchange = {
  host: 'a',
  path: '/a/b',
  forwardPath: '/b',
  hostField: null,
  client: { secure: true, serverPort: 443 },
  attempts: { endpoint: { label: 'b:80', authority: 'b:80', place: { address: '10.0.0.1', port: 80 } } },
} as unknown as StagedExchange
const terms = { outward: (path: string) => `/a${path}`, origins: new Set<string>(), namesHost: true }
const everyAttribute = { domain: 'a', path: () => '/x', secure: true, httpOnly: true, sameSite: 'Lax' }

function table(patterns: readonly string[]) {
  const paths = new Paths<string>()
  for (const [at, pattern] of patterns.entries()) paths.add(pattern, pattern, -at)
  return paths
}

const find = (patterns: readonly string[], path: string) => {
  const paths = table(patterns)
  return () => paths.find(path, () => true)
}

/** What `hash` takes of a request */
const hashed = (hash: string, query: string, field: string) => {
  const key = compileHash(hash)
  const request = {
    clientAddress: '192.0.2.1',
    host: 'a',
    path: '/',
    query,
    ja4: null,
    clientSubject: null,
    field: () => field,
  }
  return () => key(request)
}

export const routes: readonly Worst[] = [
  worst('src/proxy/upstream/hash-key.ts', 'cookies without the name', 20_000, n =>
    hashed('cookie:sid', '', 'a=; '.repeat(n / 4)),
  ),
  worst('src/proxy/upstream/hash-key.ts', 'blanks around every cookie', 20_000, n =>
    hashed('cookie:sid', '', `${' '.repeat(n)}=${' '.repeat(n)};${' ;'.repeat(n)}`),
  ),
  worst('src/proxy/upstream/hash-key.ts', 'a query of many parameters', 20_000, n =>
    hashed('query:sid', `?${'a=%20&'.repeat(n / 6)}`, ''),
  ),
  worst('src/route/paths.ts', 'a pattern of stars and hyphens', 200, n =>
    find(['/f/*-*-*.gz'], `/f/${'-'.repeat(n)}`),
  ),
  worst('src/route/paths.ts', 'a pattern of stars in many segments', 500, n =>
    find(['/*a*/*a*/*a*/*b'], `/${'a'.repeat(n)}/${'a'.repeat(n)}/${'a'.repeat(n)}/x`),
  ),
  worst('src/route/paths.ts', 'a deep path', 2_000, n => find(['/a/b/*', '/x*y/z'], '/a'.repeat(n / 2))),
  worst('src/route/paths.ts', 'a deep path that patterns follow', 2_000, n =>
    find([`${'/a'.repeat(2_000)}/*`, `${'/a'.repeat(10)}/*`], '/a'.repeat(n / 2)),
  ),
  worst('src/route/paths.ts', 'patterns in one folder', 500, n => {
    const patterns = Array.from({ length: n }, (_, at) => `/p${at}-*x`)
    return () => table(patterns)
  }),
  worst('src/route/wildcard.ts', 'a literal that nearly fits everywhere', 2_000, n => {
    const pattern = compileWildcard(`*${'a'.repeat(40)}b*`)
    const text = 'a'.repeat(n)
    return () => matchesWildcard(pattern, text, 0, text.length)
  }),
  worst('src/route/wildcard.ts', 'pattern and text that grow together', 2_000, n => {
    const text = 'a'.repeat(n)
    return () => matchesWildcard(compileWildcard(`*${'a'.repeat(n / 2)}b*`), text, 0, text.length)
  }),
  worst('src/route/captures.ts', 'stars of a path that nearly fits everywhere', 2_000, n => {
    const captures = compileCaptures(`/*${'a'.repeat(40)}b*/*`)
    const path = `/${'a'.repeat(n)}/${'a'.repeat(n)}`
    return () => captures(path)
  }),
  worst('src/route/captures.ts', 'the rest of a deep path', 2_000, n => {
    const rest = restOf(['/b/*', '/a*/*', '/*'])
    const path = '/a'.repeat(n)
    return () => rest(path)
  }),
  ...['/..', '/%2e', '/a', '?', ':', '//', 'a.'].flatMap(piece =>
    ['', 'http:', 'http://b', 'http://b/', '/'].map(begin =>
      worst('src/features/location/reference.ts', `${begin} and ${piece} over and over`, 8_000, n => {
        const url = begin + piece.repeat(n / piece.length)
        return () => outside(url, exchange, terms)
      }),
    ),
  ),
  ...[';', '; Path=/', ' =', ';SameSite', '= ;'].map(piece =>
    worst('src/features/cookies/set-cookie.ts', `${piece} over and over`, 4_000, n => {
      const cookie = `a=b${piece.repeat(n / piece.length)}`
      return () => changeCookie(cookie, everyAttribute)
    }),
  ),
  ...[',', 'a,', ' ,tcp/1'].map(piece =>
    worst('src/features/upgrade/feature.ts', `${piece} over and over`, 4_000, n => {
      const where = { paths: [], hosts: [], isDefaultSite: false }
      const { inside } = upgrade.compile([['tcp']], where, path => path, nothingLasts)
      const origin = (inside as Stage)(() => needsNoBody)
      const head = { upgrade: piece.repeat(n / piece.length) }
      return () => origin({ head } as unknown as StagedExchange, null as unknown as Sink)
    }),
  ),
  ...['%61', '%2F', ';a', '/.', 'a/../', '//', 'a//../;b/%2e', '%2e/;//'].map(piece =>
    worst('src/route/readings.ts', `${piece} over and over`, 4_000, n => {
      const form = { ...strictForm, encodedSlash: true, merge: false, decode: false, dots: false }
      const route = { path: form } as unknown as Route
      const path = `/${piece.repeat(n / piece.length)}`
      return () => readPath(path, true, () => route)
    }),
  ),
  worst('src/route/names.ts', 'labels', 4_000, n => {
    const names = new Names<number>()
    names.add('*.example.com', 1)
    const host = 'a.'.repeat(n / 2)
    return () => names.find(host)
  }),
  worst('src/route/match.ts', 'parameters and fields', 4_000, n => {
    const route = {
      name: 'r',
      match: {
        paths: ['/*'],
        methods: [],
        headers: [{ name: 'x', value: 'never' }],
        query: [{ name: 'q', value: 'v' }],
        clients: [],
        ja4: [],
        proxy: null,
      },
    } as unknown as Parameters<typeof routeTable>[0][number]
    const routes = routeTable([route])
    const fields = new Fields('x: v\r\n'.repeat(n / 6))
    const query = `?${'q=v&'.repeat(n / 4)}`
    return () => routes.find('GET', '/', query, fields, anyone)
  }),
]
