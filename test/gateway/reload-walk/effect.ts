/**
 * What is beside each row: another value for it, and how its effect on a running gateway is seen. A look is at what the
 * gateway does, or at the parts of it that do it; the parsed configuration alone proves nothing.
 */
import type { Running } from './running.ts'

/** Values by the path of their row */
export type Values = Readonly<Record<string, unknown>>

export type Effect = {
  /** Written beside what the table begins with, before the change and after */
  readonly given?: Values
  /** The value after the change; undefined where the option is removed. Before it is what the table begins with has, or nothing */
  readonly to: unknown
  /** It stays in the state folder: the effect has a gateway of its own, and no way back */
  readonly once?: true
} & (
  | {
      readonly look: (running: Running) => unknown
      /** What is seen after the change: the value, or whether it fits. Before, and after the way back, something else is seen */
      readonly sees: unknown
    }
  /** The message of the reload, which names the option or its file */
  | { readonly refused: RegExp }
)

export type Table = {
  readonly name: string
  readonly base: () => object
  readonly effects: Readonly<Record<string, Effect>>
}

/** Rows that stand in several places, with what is given beside them */
export const under = (prefix: string, effects: Readonly<Record<string, Effect>>): Record<string, Effect> =>
  prefixed(prefix, effects, effect =>
    effect.given ? { ...effect, given: prefixed(prefix, effect.given, at) } : effect,
  )

const at = (value: unknown): unknown => value

const prefixed = <T, U>(
  prefix: string,
  from: Readonly<Record<string, T>>,
  change: (value: T) => U,
): Record<string, U> =>
  Object.fromEntries(Object.entries(from).map(([path, value]) => [`${prefix}${path}`, change(value)]))
