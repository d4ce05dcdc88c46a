/**
 * What a schema row is made of. A row says everything about one option: what it takes, what it is when left out, and
 * what it is for. read.ts validates by rows, markdown.ts and json-schema.ts print them; nothing else knows a default.
 */
import type { Formed } from './forms.ts'

export type Kind =
  /** One string of a form; `write` shows it in the documentation */
  | { readonly type: 'string'; readonly form: (text: string) => Formed<unknown>; readonly write: string }
  | { readonly type: 'boolean' }
  | { readonly type: 'integer'; readonly min: number; readonly max: number; readonly words?: Words }
  /** Becomes milliseconds in a field named `<key>Ms` */
  | { readonly type: 'duration'; readonly words?: Words; readonly maxMs?: number }
  /** Becomes bytes in a field named `<key>Bytes` */
  | { readonly type: 'size'; readonly min: number; readonly max: number; readonly words?: Words }
  /** `50%`: becomes 50 in a field named `<key>Percent` */
  | { readonly type: 'percent'; readonly min: number; readonly max: number; readonly words?: Words }
  /** `100/s`, `30/m`, `1000/h`: becomes a number in a field named `<key>PerSecond` */
  | { readonly type: 'rate'; readonly words?: Words }
  | {
      readonly type: 'choice'
      readonly of: readonly (string | number | boolean)[]
      readonly unsupported?: Unsupported
    }
  /** Must exist and be readable, or with `url` be an http or https URL; becomes an absolute path in a field named `<key>File` */
  | { readonly type: 'file'; readonly url?: true }
  /** Becomes an absolute path; need not exist */
  | { readonly type: 'folder' }
  /** At least one; `single`: one may be written without the brackets */
  | { readonly type: 'list'; readonly of: Kind; readonly single?: true; readonly empty?: true }
  | { readonly type: 'object'; readonly shape: Shape }
  /** An object of the shape with this name, which this one stands in: how a shape holds itself */
  | { readonly type: 'nested'; readonly shape: string }
  /** Free keys of a form, as in a map by status; becomes a Map */
  | {
      readonly type: 'map'
      readonly key: (text: string) => Formed<string | number>
      readonly keyName: string
      readonly of: Kind
    }
  /** Told apart by how it is written; becomes `{ as, value }` */
  | { readonly type: 'either'; readonly text?: Kind; readonly list?: Kind; readonly map?: Kind }
  /** A map of whatever: it is checked where it is put */
  | { readonly type: 'any' }
  /** A function, or an object with functions: TypeScript configurations only */
  | { readonly type: 'filter' }

/** Words that stand for a value: `none`, `auto`. */
export type Words = Readonly<Record<string, unknown>>

/** Known to the contract and not to this version: what it is, and what to do instead. */
export type Unsupported = Readonly<Record<string, { readonly what: string; readonly hint: string }>>

export type Row = {
  readonly kind: Kind
  readonly docs: string
  /** As a user would write it. Absent: required if `required`, else the field is null, or the empty list */
  readonly default?: unknown
  /** Instead of the default, where it is computed */
  readonly defaultDocs?: string
  readonly required?: true
  readonly example?: string
}

export type Shape = {
  /** Heading in the documentation; unique */
  readonly name: string
  readonly docs: string
  readonly rows: Readonly<Record<string, Row>>
  readonly unsupported?: Unsupported
}

const units = { duration: 'Ms', size: 'Bytes', percent: 'Percent', rate: 'PerSecond', file: 'File' } as const

/** What a kind of value appends to the name of its field: the unit. */
export type Units = typeof units

/** The field of a value in config.ts: the unit is in its name. */
export function fieldOf(key: string, kind: Kind): string {
  return kind.type in units ? `${key}${units[kind.type as keyof Units]}` : key
}

/** Keeps the literal types of rows, from which infer.ts tells what users write and what is read. */
export const shape = <const S extends Shape>(rows: S): S => rows
export const row = <const R extends Row>(one: R): R => one
export const kind = <const K extends Kind>(one: K): K => one
