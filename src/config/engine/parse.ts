/** Turns the text of a YAML or JSON file, or a value from code, into a tree with places. Finds syntax errors only. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type Node as YamlNode,
} from 'yaml'
import { messageOf } from '../../base/errors.ts'
import { type Environment, expandVariables, type Outside, protectVariables, showVariables } from './environment.ts'
import { FilesRead } from './files-read.ts'
import { misplacedKey } from './indentation.ts'
import type { Problems } from './problem.ts'
import {
  brokenValue,
  type Entry,
  type Included,
  keyPath,
  type MapNode,
  maxDepth,
  type Node,
  type Place,
  type Source,
} from './tree.ts'

/** All that aliases and merge keys may add to a file: stops "a billion laughs" and bothers nobody else. */
const maxAliasedNodes = 50_000

type Said = { readonly message: string; readonly hint?: string }

/** What is said instead of the library's own words. */
const ofLibrary: Readonly<Record<string, Said | undefined>> = {
  MULTIPLE_DOCS: { message: 'a second document begins here; a configuration is a single document' },
  TAB_AS_INDENT: { message: 'this line is indented with a tab', hint: 'YAML allows only spaces' },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'this value contains a colon followed by a space, which YAML reads as another key',
    hint: 'put the value in quotes',
  },
}

type Reading = {
  readonly source: Source
  readonly outside: Outside
  readonly problems: Problems
  readonly mayWait: (path: string) => boolean
  readonly anchors: Map<string, YamlNode>
  /** Anchored nodes being read right now: an alias to one of them would never end */
  readonly open: Set<YamlNode>
  aliased: number
  insideAlias: number
}

type ParseOptions = {
  /** Relative paths in `${file:...}` begin here; by default in the current folder */
  readonly folder?: string
  readonly files?: FilesRead
  /** Not the first file */
  readonly included?: Included
  /** Whether what is written at this path may wait for its variable or file: it is left broken, and nothing is said */
  readonly mayWait?: (path: string) => boolean
}

/** `name` is for messages. JSON is read as the YAML that it is. Answers undefined, with the reasons reported, when the text cannot be read. */
export function parseText(
  text: string,
  name: string,
  environment: Environment,
  problems: Problems,
  { folder = process.cwd(), files = new FilesRead(), included, mayWait = () => false }: ParseOptions = {},
): Node | undefined {
  const lines = new LineCounter()
  const source: Source = {
    name,
    ...(included && { included }),
    position(offset) {
      const found = lines.linePos(offset)
      // An empty file has no line 1 to find.
      return { line: Math.max(1, found.line), column: Math.max(1, found.col) }
    },
  }
  const root = included?.root ?? ''
  const top: Place = { source, path: root, offset: 0 }
  const empty: MapNode = { kind: 'map', at: top, entries: new Map() }
  let document: Document.Parsed
  try {
    // The library's own check for repeated keys compares every pair of keys; ours is below.
    document = parseDocument(protectVariables(text.replace(/^\uFEFF/, ' ')), {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
    })
  } catch (error) {
    problems.error(top, `cannot be read: ${error instanceof RangeError ? 'nested too deeply' : messageOf(error)}`)
    return undefined
  }
  for (const error of document.errors) {
    const misplaced = misplacedKey(text, error.code, error.pos[0])
    if (misplaced !== null) {
      // What the library goes on to find is the same mistake, seen from another side.
      problems.error({ source, path: root, offset: misplaced.offset }, misplaced.message, misplaced.hint)
      return undefined
    }
    const { message, hint }: Said = ofLibrary[error.code] ?? { message: error.message }
    problems.error({ source, path: root, offset: error.pos[0] }, showVariables(message), hint)
    if (error.code === 'BLOCK_AS_IMPLICIT_KEY') return undefined
  }
  for (const warning of document.warnings) {
    problems.error(
      { source, path: root, offset: warning.pos[0] },
      showVariables(warning.message),
      'YAML tags have no meaning here',
    )
  }
  if (document.errors.length > 0) return undefined
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return empty
  const reading = {
    source,
    outside: { environment, files, folder },
    problems,
    mayWait,
    anchors: new Map(),
    open: new Set<YamlNode>(),
    aliased: 0,
    insideAlias: 0,
  }
  return readYaml(document.contents, root, 0, reading)
}

function readYaml(node: YamlNode | null, path: string, depth: number, reading: Reading, around = 0): Node {
  const { source, problems } = reading
  const at: Place = { source, path, offset: node?.range?.[0] ?? around }
  const nothing: Node = { kind: 'scalar', at, value: null }
  if (node === null) return nothing
  if (reading.insideAlias > 0 && ++reading.aliased > maxAliasedNodes) {
    if (reading.aliased === maxAliasedNodes + 1)
      problems.error(at, `aliases expand to more than ${maxAliasedNodes} values`)
    return nothing
  }
  if (depth > maxDepth) {
    problems.error(at, `nested more than ${maxDepth} levels deep`)
    return nothing
  }
  if (isAlias(node)) {
    const target = reading.anchors.get(node.source)
    if (!target || reading.open.has(target)) {
      // `host: *.example.com` is an alias in YAML, and hardly ever meant as one.
      if (target) problems.error(at, `*${node.source} contains itself`)
      else if (node.source.startsWith('.'))
        problems.error(at, `*${node.source} is an alias in YAML, not text`, `quote it: "*${node.source}"`)
      else
        problems.error(at, `*${node.source} is an alias in YAML, and there is no anchor &${node.source} before it`)
      return { kind: 'code', at, value: brokenValue }
    }
    reading.insideAlias++
    const value = readYaml(target, path, depth + 1, reading, at.offset)
    reading.insideAlias--
    return { ...value, at }
  }
  const anchor = (node as { anchor?: string }).anchor
  if (anchor) {
    reading.anchors.set(anchor, node)
    reading.open.add(node)
  }
  let value: Node = nothing
  if (isMap(node)) value = readMap(node.items as Pair<YamlNode, YamlNode | null>[], at, depth, reading)
  else if (isSeq(node)) {
    const items = node.items.map((item, index) =>
      readYaml(item as YamlNode, `${path}[${index}]`, depth + 1, reading, at.offset),
    )
    value = { kind: 'list', at, items }
  } else if (isScalar(node)) value = readScalar(node.value, node.type === 'PLAIN', at, reading)
  if (anchor) reading.open.delete(node)
  return value
}

function readMap(pairs: Pair<YamlNode, YamlNode | null>[], at: Place, depth: number, reading: Reading): MapNode {
  const entries = new Map<string, Entry>()
  const merged = new Map<string, Entry>()
  for (const pair of pairs) {
    const offset = pair.key?.range?.[0] ?? at.offset
    if (!isScalar(pair.key) || pair.key.value === null) {
      reading.problems.error({ ...at, offset }, 'a key must be a plain word')
      continue
    }
    const name = showVariables(String(pair.key.value))
    const key: Place = { source: at.source, path: keyPath(at.path, name), offset }
    if (name === '<<' && pair.key.type === 'PLAIN') {
      for (const [mergedName, entry] of readMerge(pair.value, at, depth, reading)) {
        if (!merged.has(mergedName)) merged.set(mergedName, entry)
      }
      continue
    }
    const before = entries.get(name)
    if (before) {
      const line = at.source.position(before.key.offset).line
      reading.problems.error(
        key,
        `${name} is written twice`,
        `the first is on line ${line}; only one of them can apply`,
      )
      continue
    }
    entries.set(name, { key, value: readYaml(pair.value, key.path, depth + 1, reading, offset) })
  }
  for (const [name, entry] of merged) if (!entries.has(name)) entries.set(name, entry)
  return { kind: 'map', at, entries }
}

/** What `<<: *a` or `<<: [*a, *b]` brings in; the first to give a key wins. */
function readMerge(node: YamlNode | null, at: Place, depth: number, reading: Reading): Map<string, Entry> {
  const value = readYaml(node, at.path, depth + 1, reading, at.offset)
  const entries = new Map<string, Entry>()
  for (const part of value.kind === 'list' ? value.items : [value]) {
    if (part.kind !== 'map') {
      reading.problems.error(part.at, '<< takes an alias of a map, or a list of them')
      continue
    }
    for (const [name, entry] of part.entries) if (!entries.has(name)) entries.set(name, entry)
  }
  return entries
}

function readScalar(value: unknown, plain: boolean, at: Place, reading: Reading): Node {
  if (typeof value === 'string') {
    if (!value.includes('\uE000')) return { kind: 'scalar', at, value }
    const expanded = expandVariables(value, reading.outside)
    if ('wrong' in expanded) {
      if (!expanded.unset || !reading.mayWait(at.path)) reading.problems.error(at, expanded.wrong, expanded.hint)
      // Not null: one mistake is reported once, and the reader leaves broken values alone.
      return { kind: 'code', at, value: brokenValue }
    }
    if (expanded.fromOutside) reading.problems.hidden.add(at.path, expanded.text, showVariables(value))
    return { kind: 'scalar', at, value: plain ? resolvePlain(expanded.text) : expanded.text }
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === null)
    return { kind: 'scalar', at, value }
  return { kind: 'scalar', at, value: String(value) }
}

/** `port: ${PORT}` is a number, as `port: 8443` would be; `"${PORT}"` stays text. */
function resolvePlain(text: string): string | number | boolean {
  if (/^-?(0|[1-9][0-9]{0,14})$/.test(text)) return Number(text)
  return text === 'true' ? true : text === 'false' ? false : text
}

/** A tree from a value in code. Strings are taken as they are: code has its own way to the environment. */
export function treeFromValue(value: unknown, name: string | null, problems: Problems): Node {
  const source: Source = { name, position: () => ({ line: null, column: null }) }
  let met = 0
  const read = (item: unknown, path: string, depth: number): Node => {
    const at: Place = { source, path, offset: met++ }
    if (depth > maxDepth) {
      problems.error(at, `nested more than ${maxDepth} levels deep, or contains itself`)
      return { kind: 'code', at, value: brokenValue }
    }
    if (item === null || item === undefined) return { kind: 'scalar', at, value: null }
    if (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean')
      return { kind: 'scalar', at, value: item }
    if (Array.isArray(item))
      return { kind: 'list', at, items: item.map((part, index) => read(part, `${path}[${index}]`, depth + 1)) }
    if (typeof item === 'function') return { kind: 'code', at, value: item }
    if (typeof item !== 'object') return { kind: 'scalar', at, value: String(item) }
    const prototype = Object.getPrototypeOf(item)
    const plain = prototype === null || Object.getPrototypeOf(prototype) === null
    const fields = Object.entries(item)
    if (!plain || fields.some(([, field]) => typeof field === 'function')) return { kind: 'code', at, value: item }
    const entries = new Map<string, Entry>()
    for (const [key, field] of fields) {
      if (field === undefined) continue
      const node = read(field, keyPath(path, key), depth + 1)
      entries.set(key, { key: node.at, value: node })
    }
    return { kind: 'map', at, entries }
  }
  return read(value, '', 0)
}
