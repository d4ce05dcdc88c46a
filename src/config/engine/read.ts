/**
 * Reads a tree by schema rows: checks kinds, ranges and forms, converts units, fills in defaults. What is wrong is
 * reported and becomes `undefined`, so that the checks after this one can go on; what is left out without a default
 * becomes null, or an empty list or map.
 */
import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import type { Filter } from '../../model/filter.ts'
import { fieldOf, type Kind, type Row, type Shape, type Unsupported } from './kinds.ts'
import { lastKey, orList, wrongKind } from './mistakes.ts'
import { didYouMean } from './nearest.ts'
import type { Problems } from './problem.ts'
import { readAmount } from './read-amounts.ts'
import { brokenValue, type Node, type Place } from './tree.ts'

export type Reader = {
  readonly problems: Problems
  /** Relative paths begin here, but for those in included files; absolute */
  readonly folder: string
  /** Files that are named need not be there yet */
  readonly filesLater: boolean
  /** What is wrong with each file already looked at; null: nothing */
  readonly files: Map<string, string | null>
  /** Defaults as read, by row */
  readonly defaults: Map<Row, unknown>
  /** By name, those that what is read stands in: a shape may hold itself */
  readonly shapes: Map<string, Shape>
}

export const startReader = (problems: Problems, folder: string, filesLater = false): Reader => ({
  problems,
  folder,
  filesLater,
  files: new Map(),
  defaults: new Map(),
  shapes: new Map(),
})

/** Reads by a shape, into one field per row. */
export function readObject(node: Node, shape: Shape, reader: Reader): Record<string, unknown> | undefined {
  if (node.kind !== 'map') return wrongKind(node, `a map with ${orList(Object.keys(shape.rows))}`, reader)
  reader.shapes.set(shape.name, shape)
  const fields: Record<string, unknown> = {}
  for (const key in shape.rows) {
    const row = shape.rows[key]!
    const entry = node.entries.get(key)
    const field = fieldOf(key, row.kind)
    if (entry) fields[field] = readValue(entry.value, row.kind, reader, row.example)
    else if (row.required) {
      reader.problems.error(node.at, `${key} is missing`, row.example && `as in ${key}: ${row.example}`)
      fields[field] = undefined
    } else fields[field] = absent(row, reader)
  }
  for (const [key, entry] of node.entries) {
    if (Object.hasOwn(shape.rows, key)) continue
    const unsupported =
      shape.unsupported && Object.hasOwn(shape.unsupported, key) ? shape.unsupported[key] : undefined
    if (unsupported) reportUnsupported(entry.key, unsupported, reader)
    else {
      const hint =
        didYouMean(key, Object.keys(shape.rows)) ?? `here may be ${orList(Object.keys(shape.rows), 'and')}`
      reader.problems.error(entry.key, `unknown key ${key}`, hint)
    }
  }
  return fields
}

/** The fields of an object of which nothing is written; what is required is left out. */
export function readDefaults(shape: Shape, reader: Reader): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [key, row] of Object.entries(shape.rows)) {
    if (!row.required) fields[fieldOf(key, row.kind)] = absent(row, reader)
  }
  return fields
}

/** `example` is for hints. */
export function readValue(node: Node, kind: Kind, reader: Reader, example?: string): unknown {
  if (node.kind === 'code' && node.value === brokenValue) return undefined
  if (node.kind === 'scalar' && node.value === null) {
    reader.problems.error(
      node.at,
      `${lastKey(node.at)} has no value`,
      `${example ? `as in ${example}, or ` : ''}remove the key`,
    )
    return undefined
  }
  switch (kind.type) {
    case 'string': {
      const text = readText(node, kind.write, reader)
      return text === undefined ? undefined : formed(kind.form(text), node.at, reader)
    }
    case 'boolean': {
      if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value
      const hint =
        node.kind === 'scalar' && /^(yes|on|no|off)$/i.test(String(node.value)) ? 'write true or false' : undefined
      return wrongKind(node, 'true or false', reader, hint)
    }
    case 'integer':
    case 'duration':
    case 'size':
    case 'percent':
    case 'rate':
      return readAmount(node, kind, reader)
    case 'choice': {
      if (node.kind === 'scalar' && kind.of.includes(node.value as string | number | boolean)) return node.value
      const word = node.kind === 'scalar' ? String(node.value) : ''
      const unsupported =
        kind.unsupported && Object.hasOwn(kind.unsupported, word) ? kind.unsupported[word] : undefined
      if (unsupported) return reportUnsupported(node.at, unsupported, reader)
      return wrongKind(node, orList(kind.of), reader, didYouMean(word, kind.of.map(String)))
    }
    case 'file': {
      const text = readText(node, 'a file name', reader)
      if (text !== undefined && kind.url && /^https?:\/\//.test(text)) return readUrl(text, node.at, reader)
      return text === undefined ? undefined : readFileName(text, node.at, reader)
    }
    case 'folder': {
      const text = readText(node, 'the path of a folder', reader)
      return text === undefined ? undefined : path.resolve(folderOf(node.at, reader), text)
    }
    case 'list':
      return readList(node, kind, reader, example)
    case 'object':
      return readObject(node, kind.shape, reader)
    case 'nested':
      return readObject(node, reader.shapes.get(kind.shape) as Shape, reader)
    case 'map':
      return readMap(node, kind, reader)
    case 'either': {
      const as = node.kind === 'scalar' ? 'text' : node.kind === 'code' ? null : node.kind
      const chosen = as === null ? undefined : kind[as]
      if (!chosen) return wrongKind(node, example ?? 'another kind of value', reader)
      const value = readValue(node, chosen, reader, example)
      return value === undefined ? undefined : { as, value }
    }
    case 'any':
      return node.kind === 'map' ? null : wrongKind(node, 'a map of options', reader)
    case 'filter':
      return readFilter(node, reader)
  }
}

/** The value of an option that is not written. */
function absent(row: Row, reader: Reader): unknown {
  if (row.default !== undefined) return readDefault(row, reader)
  return row.kind.type === 'list' ? [] : row.kind.type === 'map' ? new Map() : null
}

function readDefault(row: Row, reader: Reader): unknown {
  if (!reader.defaults.has(row)) {
    const at: Place = {
      source: { name: null, position: () => ({ line: null, column: null }) },
      path: '',
      offset: 0,
    }
    const value = row.default
    const node: Node =
      typeof value === 'object'
        ? { kind: 'map', at, entries: new Map() }
        : { kind: 'scalar', at, value: value as string | number | boolean }
    reader.defaults.set(row, readValue(node, row.kind, reader))
  }
  return reader.defaults.get(row)
}

function readText(node: Node, wanted: string, reader: Reader): string | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'string') return node.value
  const hint = node.kind === 'scalar' ? `write it in quotes: "${node.value}"` : undefined
  return wrongKind(node, /^an? |^the /.test(wanted) ? wanted : `a string (${wanted})`, reader, hint)
}

/** A list whose broken items are left out, or undefined where nothing is left of it. */
function readList(node: Node, kind: Kind & { type: 'list' }, reader: Reader, example?: string): unknown {
  if (node.kind !== 'list') {
    if (!kind.single) return wrongKind(node, 'a list', reader, example && `as in ${example}`)
    const value = readValue(node, kind.of, reader)
    return value === undefined ? undefined : [value]
  }
  if (node.items.length === 0 && !kind.empty) {
    reader.problems.error(node.at, `${lastKey(node.at)} is empty`, example && `as in ${example}`)
    return undefined
  }
  // Objects keep their places in the list, also broken ones: later checks find their nodes by index.
  const values = node.items.map(item => readValue(item, kind.of, reader))
  if (kind.of.type === 'object' || kind.of.type === 'nested') return values
  const whole = values.filter(value => value !== undefined)
  return whole.length === 0 && values.length > 0 ? undefined : whole
}

function readMap(
  node: Node,
  kind: Kind & { type: 'map' },
  reader: Reader,
): Map<string | number, unknown> | undefined {
  if (node.kind !== 'map') return wrongKind(node, `a map of ${kind.keyName}s`, reader)
  const map = new Map<string | number, unknown>()
  for (const [key, entry] of node.entries) {
    const value = readValue(entry.value, kind.of, reader)
    const name = formed(kind.key(key), entry.key, reader) as string | number | undefined
    if (name === undefined) continue
    if (map.has(name))
      reader.problems.error(entry.key, `${key} is written twice`, 'upper and lower case are the same here')
    map.set(name, value)
  }
  return map
}

function readUrl(text: string, at: Place, reader: Reader): string | undefined {
  if (URL.canParse(text)) return text
  reader.problems.error(at, `${text} is not a URL`)
  return undefined
}

const folderOf = ({ source }: Place, reader: Reader): string => source.included?.folder ?? reader.folder

function readFileName(text: string, at: Place, reader: Reader): string | undefined {
  const file = path.resolve(folderOf(at, reader), text)
  let wrong = reader.files.get(file)
  if (wrong === undefined) {
    wrong = fileProblem(file)
    reader.files.set(file, wrong)
  }
  if (wrong === null || (wrong === notThere && reader.filesLater)) return file
  const looked = file === text ? [] : [`looked for ${file}`]
  // What sallyport makes itself is named for its folder, wherever the state is.
  if (wrong === notThere && path.basename(path.dirname(file)) === 'internal-ca')
    looked.unshift('sallyport ca init makes it')
  reader.problems.error(at, `${text} ${wrong}`, looked.length === 0 ? undefined : looked.join('; '))
  return undefined
}

const notThere = 'does not exist'

function fileProblem(file: string): string | null {
  try {
    const found = statSync(file, { throwIfNoEntry: false })
    if (!found) return notThere
    if (found.isDirectory()) return 'is a folder'
    // For our own files the mode says it all, and ten thousand certificates are checked at half the cost.
    if (found.uid !== process.getuid?.() || (found.mode & 0o400) === 0) accessSync(file, constants.R_OK)
    return null
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`
  }
}

/** A function alone is the request phase of a filter that has its name. */
function readFilter(node: Node, reader: Reader): Filter | undefined {
  if (node.kind === 'code') {
    if (typeof node.value === 'function')
      return { name: node.value.name || 'filter', request: node.value } as Filter
    const filter = node.value as Filter
    const wrong = filterProblem(filter)
    if (wrong === null) return filter
    reader.problems.error(node.at, wrong.what, wrong.hint)
    return undefined
  }
  const hint = 'filters are code: write the configuration as sallyport.config.ts'
  return wrongKind(
    node,
    'a function, or an object with phases',
    reader,
    node.at.source.position(0).line ? hint : undefined,
  )
}

const phases = ['request', 'requestBody', 'attempt', 'response', 'responseBody', 'done'] as const

/** A phase that is misspelt would never run, and one that is no function would fail every request. */
function filterProblem(filter: Filter): { readonly what: string; readonly hint: string } | null {
  const hint = 'as in { name: "auth", request(exchange) { ... } }'
  if (typeof filter.name !== 'string') return { what: 'a filter has a name', hint }
  const odd = phases.find(phase => filter[phase] !== undefined && typeof filter[phase] !== 'function')
  if (odd !== undefined) return { what: `${odd} of the filter ${filter.name} is not a function`, hint }
  for (const [key, value] of Object.entries(filter)) {
    const close = typeof value === 'function' ? didYouMean(key, phases) : null
    if (close !== null && close !== undefined && !phases.includes(key as 'done'))
      return { what: `the filter ${filter.name} has no phase ${key}`, hint: close }
  }
  if (phases.some(phase => filter[phase] !== undefined)) return null
  return { what: `the filter ${filter.name} has none of the phases ${phases.join(', ')}`, hint }
}

function formed(result: { ok: unknown } | { wrong: string; hint?: string }, at: Place, reader: Reader): unknown {
  if ('ok' in result) return result.ok
  reader.problems.error(at, result.wrong, result.hint)
  return undefined
}

function reportUnsupported(at: Place, unsupported: Unsupported[string], reader: Reader): undefined {
  reader.problems.error(at, `not supported yet: ${unsupported.what}`, unsupported.hint)
}
