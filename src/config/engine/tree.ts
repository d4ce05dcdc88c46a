/**
 * The configuration as it was written: values with the place of each, whatever the language of the file. The rest of
 * config/ reads this form and no other.
 */

/** A file, or a value given in code. */
export type Source = {
  /** As the user named it; null for code without a file */
  readonly name: string | null
  /** From 1; null for code, where an offset means nothing */
  position(offset: number): { line: number | null; column: number | null }
  /** Of a file that another one includes */
  readonly included?: Included
}

export type Included = {
  /** Absolute; relative paths in the file begin here */
  readonly folder: string
  /** From 1, as they are read */
  readonly order: number
  /** Paths of its values begin with it: `sites/shop.yaml:` */
  readonly root: string
}

export type Place = {
  readonly source: Source
  /** `sites[0].host` */
  readonly path: string
  /** Into the text; for code, the order in which values were met */
  readonly offset: number
}

export type Node = ScalarNode | ListNode | MapNode | CodeNode
type ScalarNode = {
  readonly kind: 'scalar'
  readonly at: Place
  readonly value: string | number | boolean | null
}
type ListNode = { readonly kind: 'list'; readonly at: Place; readonly items: readonly Node[] }
export type MapNode = { readonly kind: 'map'; readonly at: Place; readonly entries: ReadonlyMap<string, Entry> }
/** A function, or an object that carries one: only from TypeScript or JavaScript */
type CodeNode = { readonly kind: 'code'; readonly at: Place; readonly value: object }

/** Stands in a CodeNode for a value already reported as wrong. */
export const brokenValue: object = Object.freeze({})

/** The place of a key is where the key is written. */
export type Entry = { readonly key: Place; readonly value: Node }

/** Deeper than any configuration: what is deeper is a mistake or an attack. */
export const maxDepth = 32

export function keyPath(parent: string, key: string): string {
  const name = /^[A-Za-z_][\w-]*$/.test(key) ? key : JSON.stringify(key)
  return parent === '' || parent.endsWith(':') ? `${parent}${name}` : `${parent}.${name}`
}

/** For a message about something else, which is at `beside`. */
export function describePlace(at: Place, beside: Place): string {
  const { line, column } = at.source.position(at.offset)
  if (at.source !== beside.source && at.source.name !== null)
    return line === null ? `${at.source.name}: ${at.path}` : `${at.source.name}:${line}:${column}`
  return line === null ? at.path : `${at.path} (line ${line})`
}

/** Where the value under `key` is written, or the map itself where there is none. */
export function placeOf(node: Node, ...keys: (string | number)[]): Place {
  for (const key of keys) {
    const next =
      node.kind === 'map'
        ? node.entries.get(String(key))?.value
        : node.kind === 'list'
          ? node.items[Number(key)]
          : undefined
    if (!next) return node.at
    node = next
  }
  return node.at
}

/** Where the key itself is written, or the map where it is not. */
export function placeOfKey(node: Node, key: string): Place {
  return (node.kind === 'map' && node.entries.get(key)?.key) || node.at
}

export function childOf(node: Node, key: string): Node | undefined {
  return node.kind === 'map' ? node.entries.get(key)?.value : undefined
}

/** Whether there is a function, or an object that carries one, anywhere in it. */
export function holdsCode(node: Node): boolean {
  if (node.kind === 'code') return node.value !== brokenValue
  if (node.kind === 'list') return node.items.some(holdsCode)
  return node.kind === 'map' && [...node.entries.values()].some(({ value }) => holdsCode(value))
}
