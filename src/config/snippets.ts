/**
 * `snippets`: named parts of sites and routes, which `use` puts where its name stands. It is done with trees, before anything is
 * validated: what looks at a configuration sees one without them. What came from a snippet keeps the place where it is written,
 * for messages and for relative paths; its path becomes that of the site or route, since upstreams and routes are named by it.
 *
 * Maps are merged key by key; lists and single values are replaced. What the site or route says itself counts before its snippets, and
 * a later name of `use` before an earlier one. A snippet may use others, and counts before those.
 */
import { unknownName } from './engine/mistakes.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Entry, keyPath, type MapNode, maxDepth, type Node, type Place } from './engine/tree.ts'

export function withSnippets(tree: Node, problems: Problems): Node {
  const written = childOf(tree, 'snippets')
  const isMap = tree.kind === 'map'
  if (!isMap || (written === undefined && !usesAny(tree))) return tree
  const snippets = new Snippets(written?.kind === 'map' ? written.entries : new Map(), problems)
  const entries = new Map(tree.entries)
  const replace = (key: string, by: (node: Node) => Node) => {
    const entry = tree.entries.get(key)
    if (entry !== undefined) entries.set(key, { ...entry, value: by(entry.value) })
  }
  replace('defaults', node => snippets.used(node))
  replace('sites', node => items(node, site => snippets.site(site)))
  snippets.warnOfUnused()
  return { ...tree, entries }
}

/** Ten thousand sites without any are not copied. */
const usesAny = (tree: Node): boolean => {
  const has = (node: Node | undefined): boolean => node !== undefined && childOf(node, 'use') !== undefined
  const routesOf = (site: Node): readonly Node[] => listOf(childOf(site, 'routes'))
  return (
    has(childOf(tree, 'defaults')) ||
    listOf(childOf(tree, 'sites')).some(site => has(site) || routesOf(site).some(has))
  )
}

const listOf = (node: Node | undefined): readonly Node[] => (node?.kind === 'list' ? node.items : [])

const items = (node: Node, by: (item: Node) => Node): Node =>
  node.kind === 'list' ? { ...node, items: node.items.map(by) } : node

class Snippets {
  readonly #written: ReadonlyMap<string, Entry>
  readonly #problems: Problems
  /** With what each uses itself; null while that is being found out, and where it cannot be */
  readonly #whole = new Map<string, MapNode | null>()

  constructor(written: ReadonlyMap<string, Entry>, problems: Problems) {
    this.#written = written
    this.#problems = problems
  }

  site(site: Node): Node {
    const whole = this.used(site)
    const routes = childOf(whole, 'routes')
    if (whole.kind !== 'map' || routes === undefined) return whole
    const entry = whole.entries.get('routes') as Entry
    const value = items(routes, route => this.used(route))
    return { ...whole, entries: new Map(whole.entries).set('routes', { ...entry, value }) }
  }

  /** A site, route or other map, with what it uses. */
  used(node: Node): Node {
    if (node.kind !== 'map') return node
    const base = this.#baseOf(node, [])
    return base === null ? node : merged(this.#moved(base, node.at.path), node)
  }

  warnOfUnused(): void {
    for (const [name, { key }] of this.#written)
      if (!this.#whole.has(name))
        this.#problems.warn(
          key,
          `nothing uses the snippet ${name}, so nothing checks it`,
          `write use: ${name} on a site or route, or remove it`,
        )
  }

  /** What the names of `use` stand for, together. @param chain of snippets that led here */
  #baseOf(node: MapNode, chain: readonly string[]): MapNode | null {
    const use = childOf(node, 'use')
    let base: MapNode | null = null
    for (const item of use?.kind === 'list' ? use.items : use === undefined ? [] : [use]) {
      // What is no name is reported by the reader of rows, or here where no row is read.
      if (item.kind !== 'scalar' || typeof item.value !== 'string') {
        if (chain.length > 0) this.#problems.error(item.at, 'use takes names of snippets', 'as in use: [secure]')
        continue
      }
      const one = this.#named(item.value, item.at, chain)
      if (one !== null) base = base === null ? one : merged(base, one)
    }
    return base
  }

  #named(name: string, at: Place, chain: readonly string[]): MapNode | null {
    if (chain.includes(name)) {
      const circle = [...chain.slice(chain.indexOf(name)), name].join(' -> ')
      this.#problems.error(at, `the snippet ${name} uses itself: ${circle}`, 'remove one of these uses')
      return null
    }
    const known = this.#whole.get(name)
    if (known !== undefined) return known
    const entry = this.#written.get(name)
    if (entry === undefined) {
      const names = [...this.#written.keys()]
      const hint = names.length === 0 ? 'this configuration has no snippets' : unknownName(name, names)
      this.#problems.error(at, `there is no snippet ${name}`, hint)
      return null
    }
    if (chain.length >= maxDepth) {
      this.#problems.error(at, `snippets use each other more than ${maxDepth} times deep`)
      return null
    }
    const { value } = entry
    if (value.kind !== 'map') {
      this.#whole.set(name, null)
      return null
    }
    const base = this.#baseOf(value, [...chain, name])
    const own = without(value, 'use')
    const whole = base === null ? own : merged(base, own)
    this.#whole.set(name, whole)
    return whole
  }

  /** The same below another path. What came from variables stays hidden in messages. */
  #moved(node: MapNode, path: string): MapNode {
    const move = (each: Node, to: string): Node => {
      const at = this.#at(each.at, to)
      switch (each.kind) {
        case 'list':
          return { ...each, at, items: each.items.map((item, index) => move(item, `${to}[${index}]`)) }
        case 'map':
          return { ...each, at, entries: new Map([...each.entries].map(moveEntry(to))) }
        default:
          return { ...each, at }
      }
    }
    const moveEntry =
      (to: string) =>
      ([name, { key, value }]: readonly [string, Entry]): [string, Entry] => {
        const below = keyPath(to, name)
        return [name, { key: this.#at(key, below), value: move(value, below) }]
      }
    return move(node, path) as MapNode
  }

  #at(at: Place, path: string): Place {
    this.#problems.hidden.alias(at.path, path)
    return { ...at, path }
  }
}

/** `over` counts. */
function merged(base: MapNode, over: MapNode): MapNode {
  const entries = new Map(base.entries)
  for (const [name, entry] of over.entries) {
    const before = entries.get(name)?.value
    const both = before?.kind === 'map' && entry.value.kind === 'map'
    entries.set(name, both ? { key: entry.key, value: merged(before, entry.value as MapNode) } : entry)
  }
  return { ...over, entries }
}

function without(node: MapNode, key: string): MapNode {
  const entries = new Map(node.entries)
  entries.delete(key)
  return { ...node, entries }
}
