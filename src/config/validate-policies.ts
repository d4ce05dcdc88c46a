/** TLS policies: those of the file are built on others, and every name that is used must be one. */
import { policies as named, type Policy, tlsVersions } from '../model/policies.ts'
import type { Raw } from './engine/infer.ts'
import { unknownName } from './engine/mistakes.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import type { policyShape } from './schema/policy.ts'

export class Policies {
  /** By name */
  readonly all: Record<string, Policy> = { ...named }
  private readonly problems: Problems

  constructor(
    raw: ReadonlyMap<string, Raw<typeof policyShape> | undefined>,
    node: Node | undefined,
    problems: Problems,
  ) {
    this.problems = problems
    for (const [name, one] of raw) {
      const at = node && childOf(node, name)
      if (one && at) this.add(name, one, at, node)
    }
  }

  /** Reports a name that is none. */
  check(name: string, node: Node): boolean {
    if (Object.hasOwn(this.all, name)) return true
    const hint = unknownName(name, Object.keys(this.all)) ?? 'sallyport policies lists them'
    this.problems.error(node.at, `there is no policy ${name}`, hint)
    return false
  }

  /** In the order of the file: one can extend only those above it, so there are no circles. */
  private add(name: string, raw: Raw<typeof policyShape>, node: Node, parent: Node): void {
    const { problems } = this
    if (Object.hasOwn(named, name)) {
      problems.error(placeOfKey(parent, name), `${name} is a named policy already`, 'choose another name')
      return
    }
    if (raw.extends === undefined || !this.check(raw.extends, childOf(node, 'extends') ?? node)) return
    const base = this.all[raw.extends] as Policy
    const policy: Policy = {
      ...base,
      name,
      source: `${base.name}, changed in the configuration`,
      minVersion: raw.minVersion ?? base.minVersion,
      maxVersion: raw.maxVersion ?? base.maxVersion,
      ciphers: childOf(node, 'ciphers') ? (raw.ciphers ?? []) : base.ciphers,
      groups: childOf(node, 'groups') ? (raw.groups ?? []) : base.groups,
      order: raw.order ?? base.order,
    }
    if (tlsVersions.indexOf(policy.minVersion) > tlsVersions.indexOf(policy.maxVersion)) {
      problems.error(placeOf(node, 'minVersion'), `${policy.minVersion} is above ${policy.maxVersion}, the highest`)
    } else if (policy.minVersion === 'TLSv1.3' && childOf(node, 'ciphers')) {
      problems.error(
        placeOfKey(node, 'ciphers'),
        `${name} starts at TLS 1.3, and ciphers are for TLS 1.2 and older: the list would have no effect`,
        'remove ciphers, or set minVersion: TLSv1.2; the ciphers of TLS 1.3 cannot be chosen',
      )
    } else if (policy.minVersion !== 'TLSv1.3' && policy.ciphers.length === 0) {
      problems.error(
        node.at,
        `${name} has no ciphers for TLS 1.2`,
        'list some under ciphers, or set minVersion: TLSv1.3',
      )
    } else if (policy.maxVersion === 'TLSv1.3' && policy.suites.length === 0) {
      problems.error(node.at, `${base.name} has no suites for TLS 1.3`, 'extend a policy that has')
    }
    // Also where it is wrong: that there is one of this name is no second mistake.
    this.all[name] = policy
  }
}
