/**
 * The options of features, as they add up over the levels where they may stand: for all sites, for a site, for a route.
 * What adds is a list, the outer level first; what chooses is the nearest one alone.
 */
import { isDeepStrictEqual } from 'node:util'
import { type FeatureName, features } from '../features/all.ts'
import type { Feature, InternalRoute, Lasting, Outward, Where } from '../features/feature.ts'
import type { Stage } from '../model/stage.ts'
import { type PathForm, strictForm } from '../wire/path-form.ts'
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

/** The node of an option at a level; a dot leads into a shape of its own. */
const nodeOf = (node: Node, name: FeatureName): Node | undefined =>
  name.split('.').reduce<Node | undefined>((at, key) => at && childOf(at, key), node)

function rawOf(raw: WrittenLevel['raw'], name: FeatureName): unknown {
  const keys = name.split('.')
  const last = fieldOf(keys.pop() as string, all[name].row.kind)
  let at: Readonly<Record<string, unknown>> | undefined = raw
  for (const key of keys) at = (at[key] as typeof raw | undefined) ?? {}
  return at[last]
}

/** The checks of what is written at one level, once. */
export function checkStages({ node, raw }: WrittenLevel, problems: Problems): void {
  for (const name of names) {
    const own = nodeOf(node, name)
    const value = own && rawOf(raw, name)
    if (own !== undefined && value !== undefined && value !== null) all[name].check?.(value as never, own, problems)
  }
}

/** Ten thousand sites without any share these. */
const none: readonly StageConfig[] = []
const nothing = { outside: [], inside: [] }

/** @param levels the outermost first */
export function stagesOf(levels: readonly WrittenLevel[]): readonly StageConfig[] {
  let stages: StageConfig[] | null = null
  for (const name of names) {
    let held: { readonly values: unknown[]; readonly at: string[] } | null = null
    for (const { node, raw } of levels) {
      const own = nodeOf(node, name)
      const value = own && rawOf(raw, name)
      if (own === undefined || value === undefined || value === null) continue
      if (held === null || all[name].inherits === 'replaces') held = { values: [], at: [] }
      held.values.push(value)
      held.at.push(own.at.path)
    }
    if (held === null) continue
    stages ??= []
    stages.push({ name, ...held })
  }
  return stages ?? none
}

/** Names of features that are written at this level, in the order in which they run. */
export const writtenFeatures = (node: Node): FeatureName[] =>
  names.filter(name => childOf(node, name) !== undefined)

/** Whether a feature decides who may send requests. */
export const keepsClientsOut = (name: FeatureName): boolean => all[name].keepsClientsOut === true

/** Whether any of these looks at the fingerprint of the client's hello. */
export const needsFingerprint = (stages: readonly StageConfig[]): boolean =>
  stages.some(({ name, values }) => values.some(value => all[name].needsFingerprint?.(value as never)))

/** In the order in which they run: those that also see what user filters do, and those between these and the origin. */
export function compileStages(
  stages: readonly StageConfig[],
  where: Where,
  lasting: Lasting,
): { readonly outside: readonly Stage[]; readonly inside: readonly Stage[] } {
  if (stages.length === 0) return nothing
  const outward = outwardOf(stages)
  const compiled = stages.map(({ name, values }) => all[name].compile(values as never, where, outward, lasting))
  return {
    outside: compiled.flatMap(({ outside }) => outside ?? []),
    inside: compiled.flatMap(({ inside }) => inside ?? []),
  }
}

/** The form in which a route with these stages takes paths; undefined for the strict one. */
export function pathFormOf(
  stages: readonly StageConfig[],
  from: Readonly<Record<string, Feature>> = all,
): PathForm | undefined {
  let form: PathForm | undefined
  for (const { name, values } of stages) form ??= from[name]?.pathForm?.(values as never)
  return form !== undefined && isDeepStrictEqual(form, strictForm) ? undefined : form
}

/** Whether a feature gives the backend another path. */
export const changesPath = (name: string, from: Readonly<Record<string, Feature>> = all): boolean =>
  from[name]?.outward !== undefined

/** Back through what changes the path, the last to run first. */
function outwardOf(stages: readonly StageConfig[]): Outward {
  const ways = stages.flatMap(({ name, values }) => all[name].outward?.(values as never) ?? []).reverse()
  return (path, exchange) => ways.reduce<string | null>((at, way) => at && way(at, exchange), path)
}

/** One line a level, for `explain`. */
export function explainStage({ name, values, at }: StageConfig): string[] {
  return values.map((value, index) => `${name}: ${all[name].explain(value as never)} (${at[index]})`)
}

/** The routes that features have for themselves on a site, with the names of the features. */
export function internalRoutes(
  stages: readonly StageConfig[],
  where: Where,
  from: Readonly<Record<string, Feature>> = all,
): (InternalRoute & { readonly feature: string })[] {
  return stages.flatMap(({ name, values }) =>
    (from[name]?.routes?.(values as never, where) ?? []).map(route => ({ ...route, feature: name })),
  )
}
