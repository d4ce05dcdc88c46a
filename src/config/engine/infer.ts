/**
 * What the rows of a shape say about types: what a user writes (`Input`), what the reader gives back while some of it may
 * be wrong (`Raw`), and what is left when nothing is (`Read`). An option is written once, as its row; nothing repeats it.
 */
import type { Filter, FilterInput } from '../../model/filter.ts'
import type { Units } from './kinds.ts'

/** `250ms`, `30s`, `5m`, `12h`, `1d` */
type DurationInput = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`
/** `512b`, `16kb`, `1mb`, `2gb`, or bytes */
type SizeInput = `${number}${'b' | 'kb' | 'mb' | 'gb' | 'tb'}` | number
/** `100/s`, `30/m`, `1000/h` */
type RateInput = `${number}/${'s' | 'm' | 'h' | 'd'}`

type Simplify<T> = { [K in keyof T]: T[K] }
type RowsOf<S> = S extends { rows: infer R } ? R : never
type KindOf<R> = R extends { kind: infer K } ? K : never

type WordValues<K> = K extends { words: infer W } ? W[keyof W] : never
type WordNames<K> = K extends { words: infer W } ? keyof W & string : never

/** The unit is in the name of the field. The same rule at run time is `fieldOf`. */
type FieldOf<N extends string, K> = K extends { type: keyof Units } ? `${N}${Units[K['type']]}` : N

/** Whether there is a value also when nothing is written. */
type Present<R> = R extends { required: true } | { kind: { type: 'list' | 'map' } }
  ? true
  : R extends { default: infer D }
    ? D extends undefined
      ? false
      : true
    : false

/**
 * A value that was read; `Broken` is `undefined` while mistakes are still being gathered, `never` afterwards. `Around` is the
 * union of the shapes that it stands in, of which a nested one is one.
 */
type Value<K, Broken, Around> = K extends { type: 'string'; form: (text: string) => infer F }
  ? F extends { ok: infer T }
    ? T
    : never
  : K extends { type: 'boolean' }
    ? boolean
    : K extends { type: 'integer' | 'duration' | 'size' | 'percent' | 'rate' }
      ? number | WordValues<K>
      : K extends { type: 'choice'; of: readonly (infer T)[] }
        ? T
        : K extends { type: 'file' | 'folder' }
          ? string
          : K extends { type: 'any' }
            ? null
            : K extends { type: 'filter' }
              ? Filter
              : K extends { type: 'list'; of: infer O }
                ? O extends { type: 'object' | 'nested' }
                  ? readonly (Value<O, Broken, Around> | Broken)[]
                  : readonly Value<O, Broken, Around>[]
                : K extends { type: 'object'; shape: infer S }
                  ? Fields<S, Broken, Around>
                  : K extends { type: 'nested'; shape: infer N }
                    ? Fields<Extract<Around, { name: N }>, Broken, Around>
                    : K extends { type: 'map'; of: infer O }
                      ? ReadonlyMap<KeyOf<K>, Value<O, Broken, Around> | Broken>
                      : K extends { type: 'either' }
                        ? Either<K, Broken, Around>
                        : never

type KeyOf<K> = K extends { key: (text: string) => infer F } ? (F extends { ok: infer T } ? T : never) : never

type Either<K, Broken, Around> = {
  [As in 'text' | 'list' | 'map']: K extends { [P in As]: infer X }
    ? { as: As; value: Value<X, Broken, Around> }
    : never
}['text' | 'list' | 'map']

type Fields<S, Broken, Around> = {
  readonly [N in keyof RowsOf<S> & string as FieldOf<N, KindOf<RowsOf<S>[N]>>]:
    | Value<KindOf<RowsOf<S>[N]>, Broken, Around | S>
    | (Present<RowsOf<S>[N]> extends true ? never : null)
    | Broken
}

/** As `readObject` gives it: undefined is what was wrong, and is reported; null is what was left out. */
export type Raw<S> = Fields<S, undefined, never>

/** As `readValue` gives a single value of this kind. */
export type RawValue<K> = Value<K, undefined, never>

/** With nothing wrong in it. */
export type Read<S> = Fields<S, never, never>

type Written<K, Around> = K extends { type: 'string' | 'file' | 'folder' }
  ? string
  : K extends { type: 'boolean' }
    ? boolean
    : K extends { type: 'integer' }
      ? number | WordNames<K>
      : K extends { type: 'duration' }
        ? DurationInput | WordNames<K>
        : K extends { type: 'size' }
          ? SizeInput | WordNames<K>
          : K extends { type: 'percent' }
            ? `${number}%` | WordNames<K>
            : K extends { type: 'rate' }
              ? RateInput | WordNames<K>
              : K extends { type: 'choice'; of: readonly (infer T)[] }
                ? T
                : K extends { type: 'any' }
                  ? Readonly<Record<string, unknown>>
                  : K extends { type: 'filter' }
                    ? FilterInput
                    : K extends { type: 'list'; of: infer O }
                      ? readonly Written<O, Around>[] | (K extends { single: true } ? Written<O, Around> : never)
                      : K extends { type: 'object'; shape: infer S }
                        ? InputIn<S, Around>
                        : K extends { type: 'nested'; shape: infer N }
                          ? InputIn<Extract<Around, { name: N }>, Around>
                          : K extends { type: 'map'; of: infer O }
                            ? Readonly<Record<KeyOf<K> & (string | number), Written<O, Around>>>
                            : K extends { type: 'either' }
                              ? {
                                  [P in 'text' | 'list' | 'map']: K extends { [Q in P]: infer X }
                                    ? Written<X, Around>
                                    : never
                                }['text' | 'list' | 'map']
                              : never

type InputIn<S, Around> = Simplify<
  {
    [N in keyof RowsOf<S> as RowsOf<S>[N] extends { required: true } ? N : never]: Written<
      KindOf<RowsOf<S>[N]>,
      Around | S
    >
  } & {
    [N in keyof RowsOf<S> as RowsOf<S>[N] extends { required: true } ? never : N]?: Written<
      KindOf<RowsOf<S>[N]>,
      Around | S
    >
  }
>

/** What a user writes, in a file or in code. */
export type Input<S> = InputIn<S, never>
