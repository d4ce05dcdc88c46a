/**
 * What a command takes, as readers: from a value that came over a socket, in an HTTP query or from the command line to a typed
 * one. Everything has a bound, and a field that a command does not know is a mistake, so that a misspelled one is never ignored.
 */
import { UsageError } from '../base/errors.ts'

/** @param name what messages call the value. Throws UsageError */
export type Reader<T> = (value: unknown, name: string) => T

/** No field at all. */
export const nothing: Reader<null> = value => {
  // biome-ignore lint/complexity/noBannedTypes: an object without fields
  if (value !== undefined && value !== null) fields({})(value, 'input') satisfies {}
  return null
}

/** One line of text without control characters, not empty. */
export const text =
  (most: number): Reader<string> =>
  (value, name) => {
    if (typeof value !== 'string' || value === '') throw new UsageError(`${name} takes text`)
    if (value.length > most) throw new UsageError(`${name} takes at most ${most} characters, not ${value.length}`)
    if (/[\x00-\x1f\x7f]/.test(value)) throw new UsageError(`${name} takes no control characters`)
    return value
  }

export const oneOf =
  <Word extends string>(...words: readonly Word[]): Reader<Word> =>
  (value, name) => {
    const found = words.find(word => word === value)
    if (found === undefined) throw new UsageError(`${name} takes ${words.join(', ')}`)
    return found
  }

/** A whole number, or its decimal digits as a command line and a query have them. */
export const whole =
  (least: number, most: number): Reader<number> =>
  (value, name) => {
    const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= least && number <= most)
      return number
    throw new UsageError(`${name} takes a whole number from ${least} to ${most}`)
  }

export const optional =
  <T>(reader: Reader<T>): Reader<T | undefined> =>
  (value, name) =>
    value === undefined || value === null ? undefined : reader(value, name)

type Fields<Readers> = { readonly [Name in keyof Readers]: Readers[Name] extends Reader<infer T> ? T : never }

export const fields =
  <const Readers extends Readonly<Record<string, Reader<unknown>>>>(readers: Readers): Reader<Fields<Readers>> =>
  value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new UsageError('the input of a command is an object')
    const known = Object.keys(readers)
    const other = Object.keys(value).find(name => !known.includes(name))
    if (other !== undefined) {
      const there = known.length === 0 ? 'it takes none' : `there are ${known.join(', ')}`
      throw new UsageError(`the command has no field '${other.slice(0, 64)}'; ${there}`)
    }
    const given = value as Readonly<Record<string, unknown>>
    const read = Object.entries(readers).map(([name, reader]) => [name, reader(given[name], name)])
    return Object.fromEntries(read) as Fields<Readers>
  }
