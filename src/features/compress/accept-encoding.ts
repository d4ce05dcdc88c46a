/**
 * What a client says of content codings (RFC 9110 section 12.5.3). The highest q value wins, and among equal ones the order of
 * the configuration; a value that is malformed accepts nothing.
 */
import { trimBlanks } from '../../wire/fields.ts'
import type { Coding } from './codings.ts'

export type Choice = {
  /** Null: as it is */
  readonly coding: Coding | null
  /** The client takes answers as they are */
  readonly identity: boolean
}

/** @param accept all fields of that name, joined with commas; null where there is none */
export function chooseCoding(accept: string | null, algorithms: readonly Coding[]): Choice {
  if (accept === null) return { coding: null, identity: true }
  const weights: Partial<Record<string, number>> = {}
  for (const element of accept.split(',')) {
    const semicolon = element.indexOf(';')
    const written = trimBlanks(semicolon < 0 ? element : element.slice(0, semicolon))
    if (written.length > longestName) continue
    const name = written.toLowerCase()
    const known = name === 'x-gzip' ? 'gzip' : name
    if (names.has(known)) weights[known] ??= semicolon < 0 ? 1 : weightOf(element.slice(semicolon + 1))
  }
  const { identity, '*': others } = weights
  let coding: Coding | null = null
  // What says nothing of identity takes it where nothing better is there, unless `*;q=0` rules it out.
  let best = identity ?? 0
  for (const each of algorithms) {
    const weight = weights[each] ?? others ?? 0
    if (weight > 0 && (coding === null ? weight >= best : weight > best)) {
      coding = each
      best = weight
    }
  }
  return { coding, identity: (identity ?? others) !== 0 }
}

const names: ReadonlySet<string> = new Set(['zstd', 'br', 'gzip', 'identity', '*'])
const longestName = 'identity'.length

/** @param text what is behind the first semicolon; 0 where it is not a weight (RFC 9110 section 12.4.2) */
function weightOf(text: string): number {
  const weight = trimBlanks(text)
  return /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i.test(weight) ? Number(weight.slice(2)) : 0
}
