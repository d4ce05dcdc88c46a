/**
 * A feature is something configurable that happens to requests: a folder with its options, what compiles them to stages,
 * and its page of documentation. features/all.ts lists them, and is the only other file that a new one touches.
 */

import type { RawValue } from '../config/engine/infer.ts'
import type { Row } from '../config/engine/kinds.ts'
import type { Problems } from '../config/engine/problem.ts'
import type { Node } from '../config/engine/tree.ts'
import type { Origin, Stage, StagedExchange } from '../model/stage.ts'
import type { PathForm } from '../wire/path-form.ts'
import type { Page } from './pages.ts'

/** The route that stages are compiled for. */
export type Where = {
  /** The patterns of its paths; empty for any path */
  readonly paths: readonly string[]
  /** The hosts of its site; a wildcard begins with `*.` */
  readonly hosts: readonly string[]
  readonly isDefaultSite: boolean
}

/**
 * Where clients find a path of the backend: the way back through the features of a route that change paths. Null where no
 * path of a client leads there.
 */
export type Outward = (path: string, exchange: StagedExchange) => string | null

/** What outlives a configuration, for features that need something of it. */
export interface Lasting {
  /** The page in a file, as it is now. Throws UsageError where it cannot be used. */
  page(file: string): { readonly current: Page }
  /** Whether a site, by its first host, is in maintenance */
  maintenance(site: string): { readonly on: boolean }
}

/** Stages of one feature for one route: those that also see what user filters do, and those between them and the origin. */
type Stages = { readonly outside?: Stage; readonly inside?: Stage }

/** A route that a feature has for itself: where users come back to after they have signed in, for example. */
export type InternalRoute = {
  readonly path: string
  /** Empty for any */
  readonly methods: readonly string[]
  readonly origin: Origin
}

export type Feature<R extends Row = Row> = {
  /** One sentence, for the documentation */
  readonly docs: string
  readonly row: R
  /**
   * What an option does to the same one of an outer level. `adds`: both hold, the outer one first; for what restricts or
   * adds. `replaces`: the nearer one holds alone; for what chooses.
   */
  readonly inherits: 'adds' | 'replaces'
  /** It decides who may send requests: where it stands under `defaults`, sites that it cannot hold for are warned of. */
  readonly keepsClientsOut?: true
  /** What the rows cannot say; reported with its place. */
  check?(value: RawValue<R['kind']>, node: Node, problems: Problems): void
  /** Whether an option looks at the fingerprint of the client's hello, which is then taken. */
  needsFingerprint?(value: RawValue<R['kind']>): boolean
  /** @param values that hold for the route, the outermost first; at least one @param outward of all features of the route */
  compile(values: readonly RawValue<R['kind']>[], where: Where, outward: Outward, lasting: Lasting): Stages
  /**
   * It decides which clients may send a request. Routes of one site that take encoded slashes must not differ in it. `paths`: it
   * decides by the path, and no route with it may take paths in another form than the strict one.
   */
  readonly authorizes?: 'requests' | 'paths'
  /** The form in which routes take paths. */
  pathForm?(values: readonly RawValue<R['kind']>[]): PathForm
  /** Of a feature that gives the backend another path: the way back. */
  outward?(values: readonly RawValue<R['kind']>[]): Outward
  /**
   * Routes of its own on a site, which come before those of the same path that are written there, with the stages of the
   * site around them. @param values that hold for the site, at least one
   */
  routes?(values: readonly RawValue<R['kind']>[], where: Where): readonly InternalRoute[]
  /** For `explain`: what the option does, in a few words */
  explain(value: RawValue<R['kind']>): string
}

/** Keeps the literal types of the row, from which the types of values are inferred. */
export const feature = <const R extends Row>(of: Feature<R>): Feature<R> => of
