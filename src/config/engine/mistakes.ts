/** The sentences in which a mistake is told: what an option takes, what was written, and which names there are. */
import type { Words } from './kinds.ts'
import { nearest } from './nearest.ts'
import type { Problems } from './problem.ts'
import type { Node, Place } from './tree.ts'

export type Reporter = { readonly problems: Problems }

export function wrongKind(node: Node, wanted: string, { problems }: Reporter, hint?: string): undefined {
  const what = node.at.path === '' ? 'the configuration' : lastKey(node.at)
  problems.error(node.at, `${what} takes ${wanted}, not ${describe(node)}`, hint)
}

function describe(node: Node): string {
  if (node.kind === 'list') return 'a list'
  if (node.kind === 'map') return 'a map'
  if (node.kind === 'code') return typeof node.value === 'function' ? 'a function' : 'an object with code'
  const text = JSON.stringify(node.value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** The name a message uses: the last word of the path, with its index. */
export function lastKey(at: Place): string {
  // What came from a snippet has the path of another file.
  const root = at.source.included?.root ?? ''
  const inFile = at.path.startsWith(root) ? at.path.slice(root.length) : at.path
  return /[^.]*$/.exec(inFile)![0] || 'the configuration'
}

export function orList(words: readonly (string | number | boolean)[], last = 'or'): string {
  return words.length < 2
    ? String(words[0] ?? 'nothing')
    : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`
}

export function orWords(words: Words | undefined): string {
  return words ? `, or ${Object.keys(words).join(' or ')}` : ''
}

/** For a name that refers to something: `known` are the names there are. */
export function unknownName(name: string, known: readonly string[]): string | undefined {
  const close = nearest(name, known)
  if (close !== null) return `did you mean ${close}?`
  return known.length > 0 && known.length <= 8 ? `there are ${orList(known, 'and')}` : undefined
}
