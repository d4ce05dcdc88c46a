/**
 * The options of features, as they add up over the levels where they may stand: for all sites, for a site, for a route.
 * What adds is a list, the outer level first; what chooses is the nearest one alone.
 */
import { type FeatureName, features } from '../features/all.ts'
import type { Feature, Where } from '../features/feature.ts'
import type { Stage } from '../model/stage.ts'
import { fieldOf } from './engine/kinds.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node } from './engine/tree.ts'

/** One feature as it holds for a route. */
export type StageConfig = {
  readonly name: FeatureName
  /** The outermost first, at least one */
  readonly values: readonly unknown[]
  /** Where each was written: `sites[0].routes[1].headers` */
  readonly at: readonly string[]
}

/** A level of the file, as it was read. */
export type WrittenLevel = { readonly node: Node; readonly raw: Readonly<Record<string, unknown>> }

// Each feature knows the type of its own values; here they pass through.
const all = features as unknown as Readonly<Record<FeatureName, Feature>>
const names = Object.keys(features) as FeatureName[]

/** The checks of what is written at one level, once. */
export function checkStages({ node, raw }: WrittenLevel, problems: Problems): void {
  for (const name of names) {
    const own = childOf(node, name)
    const value = raw[fieldOf(name, all[name].row.kind)]
    if (own !== undefined && value !== undefined && value !== null) all[name].check?.(value as never, own, problems)
  }
}

/** @param levels the outermost first */
export function stagesOf(levels: readonly WrittenLevel[]): StageConfig[] {
  return names.flatMap(name => {
    const written = levels.flatMap(({ node, raw }) => {
      const own = childOf(node, name)
      const value = raw[fieldOf(name, all[name].row.kind)]
      return own === undefined || value === undefined || value === null ? [] : [{ value, at: own.at.path }]
    })
    const held = all[name].inherits === 'adds' ? written : written.slice(-1)
    if (held.length === 0) return []
    return [{ name, values: held.map(({ value }) => value), at: held.map(({ at }) => at) }]
  })
}

/** Names of features that are written at this level, in the order in which they run. */
export const writtenFeatures = (node: Node): FeatureName[] =>
  names.filter(name => childOf(node, name) !== undefined)

/** In the order in which they run: those that also see what user filters do, and those between these and the origin. */
export function compileStages(
  stages: readonly StageConfig[],
  where: Where,
): { readonly outside: Stage[]; readonly inside: Stage[] } {
  const compiled = stages.map(({ name, values }) => all[name].compile(values as never, where))
  return {
    outside: compiled.flatMap(({ outside }) => outside ?? []),
    inside: compiled.flatMap(({ inside }) => inside ?? []),
  }
}

/** One line a level, for `explain`. */
export function explainStage({ name, values, at }: StageConfig): string[] {
  return values.map((value, index) => `${name}: ${all[name].explain(value as never)} (${at[index]})`)
}
