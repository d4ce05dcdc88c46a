/**
 * Paths, as a property: over random tables of routes and random paths, what is forwarded leads to the route that the request has been
 * through, and so does everything that a backend could make of it: merging slashes, removing dot segments, decoding, dropping
 * parameters, in any order. The oracle shares no code with the gateway.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import type { Route, RouteTable } from '../../src/model/route.ts'
import { routeTable } from '../../src/route/match.ts'
import { Fields } from '../../src/wire/fields.ts'
import { type PathForm, pathForm, strictForm } from '../../src/wire/path-form.ts'
import { parseTarget } from '../../src/wire/target.ts'
import { sized } from '../harness/scale.ts'

const tables = sized(400, 10_000)
const pathsOfEach = 40

let seed = 20_261_128
const random = (below: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((seed / 2 ** 32) * below)
}
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
const chance = (percent: number): boolean => random(100) < percent

const patterns = ['/*', '/a/*', '/a/b/*', '/b', '/b/*', '/a/*/b', '/a/b', '/*/b/*', '/a;x/*', '//a/*']
const pieces = [
  ...['a', 'b', 'a', 'b', '/', '/', '/', '//', '.', '..', '/..', '/.', '%2e', '%2E%2e', '%61', '%62', '%41'],
  ...[';x', ';', '..;x', ';/', '%3B', '%3b', '%7e', '~', '%C3%a9', '%'],
]
const slashes = ['%2F', '%2f', '%2F..%2F', '..%2f', '%5c', '%00']

// The oracle

function matches(pattern: string, path: string): boolean {
  const [wanted, has] = [pattern.split('/'), path.split('/')]
  const open = wanted.at(-1) === '*'
  if (open) wanted.pop()
  if (open ? has.length < wanted.length : has.length !== wanted.length) return false
  return wanted.every((segment, at) => segment === '*' || segment === has[at])
}

/** An exact path before a pattern, a longer folder before a shorter one, more that is literal before less. */
const weight = (pattern: string): number => {
  if (!pattern.includes('*')) return 1_000_000
  const folder = pattern.slice(0, pattern.indexOf('*'))
  return folder.length * 1_000 + pattern.replaceAll('*', '').length
}

const bestOf = (routes: readonly Route[], path: string): string | null =>
  routes
    .flatMap(({ name, match }) =>
      match.paths.filter(each => matches(each, path)).map(each => [name, weight(each)] as const),
    )
    .toSorted((one, other) => other[1] - one[1])[0]?.[0] ?? null

const merged = (path: string): string => path.replace(/\/+/g, '/')
const undotted = (path: string): string | null => {
  const out: string[] = []
  const all = path.split('/').slice(1)
  for (const [at, segment] of all.entries()) {
    if (segment === '..' && out.pop() === undefined) return null
    if (segment !== '.' && segment !== '..') out.push(segment)
    else if (at === all.length - 1) out.push('')
  }
  return `/${out.join('/')}`
}
const decoded = (path: string): string =>
  path.replace(/%([0-9a-f]{2})/gi, (whole, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16))
    return /[\w.~-]/.test(char) ? char : hex.toLowerCase() === '2f' ? whole : whole.toUpperCase()
  })
const withoutParameters = (path: string): string => path.replace(/;[^/]*/g, '')

/** What backends make of a path that do some of these things, in every order */
function madeOf(path: string, steps: readonly ((path: string) => string | null)[]): Set<string> {
  const found = new Set([path])
  for (const step of steps) {
    const next = step(path)
    if (next === null) continue
    for (const each of madeOf(
      next,
      steps.filter(other => other !== step),
    ))
      found.add(each)
  }
  return found
}

const who = { identity: null, fingerprint: null, cloud: null }
const find = (table: RouteTable, path: string) => table.find('GET', path, '', new Fields(''), who)
const read = (table: RouteTable, raw: string) => table.read?.('GET', raw, '', new Fields(''), who) ?? null

const routeOf = (name: string, paths: readonly string[], path: PathForm | undefined): Route =>
  ({
    name,
    match: { paths, methods: [], headers: [], query: [], clients: [], ja4: [], proxy: null },
    path,
  }) as unknown as Route

function someTable(form: () => PathForm | undefined): readonly Route[] {
  const left = new Set(patterns)
  return Array.from({ length: 1 + random(5) }, (_, at) => {
    const paths = Array.from({ length: 1 + random(2) }, () => pick([...left])).filter(each => left.delete(each))
    return routeOf(`${at}`, paths, form())
  }).filter(({ match }) => match.paths.length > 0)
}

const somePath = (from: readonly string[]): string =>
  `/${Array.from({ length: 1 + random(8) }, () => pick(from)).join('')}`

const someForm = (): PathForm | undefined => {
  if (chance(30)) return undefined
  const strict = chance(50)
  return {
    encodedSlash: false,
    merge: chance(50),
    decode: strict,
    dots: strict,
    stripParameters: chance(30),
  }
}

describe('a path', () => {
  it('without options has one form, which is routed on and forwarded', () => {
    for (let round = 0; round < tables * 10; round++) {
      const raw = somePath([...pieces, ...slashes])
      const target = parseTarget('GET', raw)
      assert.ok(!(target instanceof ProxyError))
      if (target.problem !== null) continue
      const { path } = target
      assert.doesNotMatch(path, /\/\/|\/\.{1,2}(?:\/|$)|%2f|%5c|%00|%(?:2e|61|62|41|7e)/i, `${raw} -> ${path}`)
      assert.equal(path, merged(undotted(merged(decoded(raw))) ?? ''), raw)
      assert.equal(pathForm(path, strictForm), path)
    }
  })

  it('with options leads to the route that it has been through, whatever the backend makes of it', () => {
    let kept = 0
    let refused = 0
    for (let round = 0; round < tables; round++) {
      const routes = someTable(someForm)
      const table = routeTable(routes)
      const strips = routes.some(({ path }) => path?.stripParameters)
      const steps = [merged, undotted, decoded, ...(strips ? [withoutParameters] : [])]
      for (let count = 0; count < pathsOfEach; count++) {
        const raw = somePath([...pieces, ...(chance(5) ? slashes : [])])
        const found = read(table, raw)
        if (found === null) continue
        if (found instanceof ProxyError) {
          refused++
          continue
        }
        const { path, route } = found
        const told = () => `${raw} -> ${path}, ${JSON.stringify(routes.map(each => [each.match.paths, each.path]))}`
        assert.equal(find(table, path), route, told())
        assert.doesNotMatch(path, /%2f|%5c|%00/i, told())
        if (route?.path === undefined) {
          assert.doesNotMatch(path, /\/\/|\/\.{1,2}(?:\/|$)/, told())
          assert.equal(path, decoded(path), told())
        }
        if (route?.path?.stripParameters) assert.doesNotMatch(path, /;/, told())
        if (route !== null && path !== merged(decoded(raw))) kept++
        if (route === null) continue
        for (const made of madeOf(path, steps))
          assert.equal(bestOf(routes, made), route.name, `${made} of ${told()}`)
      }
    }
    assert.ok(kept > tables && refused > tables, `${kept} kept, ${refused} refused`)
  })

  it('with encoded slashes is routed on as it is forwarded, with each of them as it came', () => {
    let kept = 0
    for (let round = 0; round < tables; round++) {
      const form = { ...strictForm, encodedSlash: true, merge: chance(70) }
      const routes = someTable(() => (chance(80) ? form : undefined))
      const table = routeTable(routes)
      for (let count = 0; count < pathsOfEach; count++) {
        const raw = somePath([...pieces, ...slashes])
        const found = read(table, raw)
        if (found === null || found instanceof ProxyError) continue
        const { path, route } = found
        const told = () => `${raw} -> ${path}, ${JSON.stringify(routes.map(each => [each.match.paths, each.path]))}`
        assert.equal(find(table, path), route, told())
        if (!/%2f/i.test(path)) continue
        kept++
        assert.ok(route?.path?.encodedSlash, told())
        // A segment with one is a name: neither the gateway nor a backend that decodes it may climb out of it.
        const names = raw.split('/').filter(segment => /%2f/i.test(segment))
        for (const name of names) assert.ok(path.includes(decoded(name)), told())
        assert.doesNotMatch(path.replace(/%2f/gi, '/'), /(?:^|\/)\.{1,2}(?:\/|$)/, told())
        assert.doesNotMatch(path, /%5c|%00/i, told())
      }
    }
    assert.ok(kept > tables, `${kept} kept`)
  })
})
