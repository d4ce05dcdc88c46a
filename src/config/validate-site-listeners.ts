/** Which listeners serve a site, and which site is the default of each. */
import { unknownName } from './engine/mistakes.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, describePlace, type Node, placeOf } from './engine/tree.ts'

export type ListenerChecks = {
  readonly problems: Problems
  /** Names of all listeners */
  readonly listeners: ReadonlySet<string>
  /** One of the listeners of a site is in TLS, so that it needs a certificate if it decrypts */
  readonly inTls: (listeners: readonly string[]) => boolean
  /** Sites that are the default of their listeners */
  readonly defaults: { readonly node: Node; readonly listeners: readonly string[] }[]
}

/** @returns the names, without those that are no strings */
export function checkListeners(
  names: readonly (string | undefined)[],
  node: Node,
  checks: ListenerChecks,
): readonly string[] {
  const listeners = names.filter(name => name !== undefined)
  const list = childOf(node, 'listeners')
  for (const [index, name] of names.entries()) {
    if (name === undefined || checks.listeners.has(name)) continue
    const hint =
      unknownName(name, [...checks.listeners]) ?? `give one a name, as in listen: [{ name: ${name}, port: 443 }]`
    checks.problems.error(placeOf(list ?? node, index), `no listener has the name ${name}`, hint)
  }
  return listeners
}

/** A listener has one default at most. */
export function checkDefault(
  listeners: readonly string[],
  node: Node,
  { defaults, problems }: ListenerChecks,
): void {
  const other = defaults.find(
    ({ listeners: theirs }) =>
      listeners.length === 0 || theirs.length === 0 || listeners.some(name => theirs.includes(name)),
  )
  if (other !== undefined)
    problems.error(
      placeOf(node, 'default'),
      'two sites are the default',
      `the first is ${describePlace(other.node.at, node.at)}; only one can be, unless their listeners differ`,
    )
  defaults.push({ node, listeners })
}
