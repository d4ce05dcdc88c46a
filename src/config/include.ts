/**
 * `include`: files whose sites, upstreams, policies and snippets are added to those of the file that names them. The trees are joined
 * before anything is validated, so everything that looks at a configuration sees one. Each value keeps the place where it is written, and
 * its path begins with its file: what is named by a path keeps its name when other files come and go.
 */
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { compileWildcard, matchesWildcard } from '../route/wildcard.ts'
import type { Environment } from './engine/environment.ts'
import type { FilesRead } from './engine/files-read.ts'
import { didYouMean } from './engine/nearest.ts'
import { parseText } from './engine/parse.ts'
import type { Problems } from './engine/problem.ts'
import { brokenValue, childOf, describePlace, type Entry, type MapNode, type Node } from './engine/tree.ts'
import { includePattern } from './include-pattern.ts'

/** What an included file may hold. */
const includedKeys = ['sites', 'upstreams', 'policies', 'snippets']

/** The file that includes, and how its text is read. */
export type Including = {
  /** Absolute; null for code without a file */
  readonly file: string | null
  readonly name: string | null
  readonly folder: string
  readonly environment: Environment
  readonly files: FilesRead
  readonly mayWait?: (path: string) => boolean
}

/** The tree with what its `include` names, or undefined when an included file cannot be read. `known`: every key at the top of a file */
export function withIncluded(
  tree: Node,
  including: Including,
  known: readonly string[],
  problems: Problems,
): Node | undefined {
  const include = childOf(tree, 'include')
  if (include === undefined || tree.kind !== 'map') return tree
  const joined = new Joined(tree, known, problems)
  const seen = new Set<string>()
  const names = new Map<string, number>()
  const own = including.file !== null && existsSync(including.file) ? realpathSync(including.file) : null
  let whole = true
  for (const node of include.kind === 'list' ? include.items : [include]) {
    // What is no pattern is reported by the reader of rows.
    if (node.kind !== 'scalar' || typeof node.value !== 'string' || !('ok' in includePattern(node.value))) continue
    const pattern = path.resolve(including.folder, node.value)
    const found = including.files.matches(pattern, () => filesMatching(pattern))
    if (found.length === 0 && !node.value.includes('*')) {
      const looked = pattern === node.value ? '' : `looked for ${pattern}; `
      problems.error(
        node.at,
        `${node.value} ${existsSync(pattern) ? 'is not a regular file' : 'does not exist'}`,
        `${looked}create it, correct the path, or write a pattern with * for files that may be missing`,
      )
    }
    for (const file of found) {
      // A file that two patterns match is read where the first of them stands.
      if (seen.has(file)) continue
      seen.add(file)
      const relative = path.isAbsolute(node.value) ? file : path.relative(including.folder, file)
      const shown = shownName(relative, problems.hidden.writtenAt(node.at.path))
      if (own !== null && existsSync(file) && realpathSync(file) === own) {
        const hint = 'give included files a folder of their own, as in sites/*.yaml'
        problems.error(node.at, `${node.value} includes the file that it stands in`, hint)
        continue
      }
      const read = including.files.text(file)
      if ('wrong' in read) {
        problems.error(node.at, `${shown} ${read.wrong}`, 'let the user that runs the gateway read it')
        continue
      }
      const again = names.get(shown) ?? 0
      names.set(shown, again + 1)
      const folder = path.dirname(file)
      const name = including.name === null ? shown : path.join(path.dirname(including.name), shown)
      const included = { folder, order: seen.size, root: `${shown}${again === 0 ? '' : `#${again + 1}`}:` }
      const { environment, files, mayWait } = including
      const part = parseText(read.text, path.isAbsolute(shown) ? shown : name, environment, problems, {
        folder,
        files,
        included,
        ...(mayWait && { mayWait }),
      })
      if (part === undefined) whole = false
      else joined.add(part)
    }
  }
  return whole ? joined.tree() : undefined
}

/** The name of a file in messages: where the pattern has variables, which may not be told, as they are written. */
function shownName(file: string, written: string | null): string {
  if (written === null) return file
  const names = file.split(path.sep)
  const parts = written.split(/\/(?![^{]*\})/)
  return parts.map((part, at) => (part.includes('${') ? part : names.at(at - parts.length))).join('/')
}

/** A tree that others are added to. */
class Joined {
  readonly #top: MapNode
  readonly #known: readonly string[]
  readonly #problems: Problems
  readonly #entries: Map<string, Entry>
  /** Of all files, once one has been added */
  #sites: Node[] | null = null
  readonly #named = new Map<string, Map<string, Entry>>()

  constructor(top: MapNode, known: readonly string[], problems: Problems) {
    this.#top = top
    this.#known = known
    this.#problems = problems
    this.#entries = new Map(top.entries)
  }

  tree(): Node {
    return { ...this.#top, entries: this.#entries }
  }

  add(part: Node): void {
    if (part.kind !== 'map') {
      this.#problems.error(part.at, `an included file is a map with ${includedKeys.join(', ')}`)
      return
    }
    for (const [key, entry] of part.entries) {
      if (!includedKeys.includes(key)) this.#refuse(key, entry)
      else if (entry.value.kind === 'code' && entry.value.value === brokenValue) continue
      else if (key === 'sites') this.#addSites(entry)
      else this.#addNamed(key, entry)
    }
  }

  #refuse(key: string, { key: at }: Entry): void {
    const may = 'an included file may hold sites, upstreams, policies and snippets'
    if (this.#known.includes(key))
      this.#problems.error(at, `${key} can only be in the file that includes this one`, may)
    else this.#problems.error(at, `unknown key ${key}`, didYouMean(key, includedKeys) ?? may)
  }

  #addSites(entry: Entry): void {
    const { value } = entry
    if (value.kind !== 'list') {
      this.#problems.error(
        value.at,
        'sites is a list of sites',
        'as in sites: [{ host: shop.example.com, to: ... }]',
      )
      return
    }
    const before = this.#entries.get('sites')
    if (before !== undefined && before.value.kind !== 'list') return
    if (before === undefined || this.#sites === null) {
      this.#sites = before?.value.kind === 'list' ? [...before.value.items] : []
      this.#entries.set('sites', {
        key: before?.key ?? entry.key,
        value: { kind: 'list', at: before?.value.at ?? value.at, items: this.#sites },
      })
    }
    for (const item of value.items) this.#sites.push(item)
  }

  #addNamed(key: string, entry: Entry): void {
    const { value } = entry
    if (value.kind !== 'map') {
      this.#problems.error(value.at, `${key} is a map of names`, `as in ${key}: { NAME: { ... } }`)
      return
    }
    const before = this.#entries.get(key)
    if (before !== undefined && before.value.kind !== 'map') return
    let named = this.#named.get(key)
    if (named === undefined) {
      named = new Map(before?.value.kind === 'map' ? before.value.entries : [])
      this.#named.set(key, named)
      this.#entries.set(key, {
        key: before?.key ?? entry.key,
        value: { kind: 'map', at: before?.value.at ?? value.at, entries: named },
      })
    }
    for (const [name, one] of value.entries) {
      const first = named.get(name)
      if (first === undefined) named.set(name, one)
      else
        this.#problems.error(
          one.key,
          `${name} is already defined under ${key}`,
          `the first is at ${describePlace(first.key, one.key)}; rename one of them`,
        )
    }
  }
}

/** Absolute names in order, those with a dot in front left out unless the pattern has it: editors and mounts keep theirs beside. */
function filesMatching(pattern: string): string[] {
  const { root } = path.parse(pattern)
  let found = [root]
  const parts = pattern.slice(root.length).split(path.sep)
  parts.forEach((part, index) => {
    const last = index === parts.length - 1
    found = found.flatMap(folder => namesIn(folder, part).map(name => path.join(folder, name)))
    found = found.filter(each => {
      const stat = statSync(each, { throwIfNoEntry: false })
      return last ? stat?.isFile() : stat?.isDirectory()
    })
  })
  return found
}

function namesIn(folder: string, part: string): string[] {
  if (!part.includes('*')) return [part]
  const wildcard = compileWildcard(part)
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return []
  }
  return names
    .filter(name => part.startsWith('.') || !name.startsWith('.'))
    .filter(name => matchesWildcard(wildcard, name, 0, name.length))
    .toSorted()
}
