/** Which internal CA a command line means: that of a state folder, or of a configuration. */
import { UsageError } from '../../base/errors.ts'
import { type InternalCa, openInternalCa } from '../../certs/ca/internal-ca.ts'
import { type CaPlace, loadCaPlace } from '../../config/load.ts'
import type { Words } from '../argv.ts'
import { printError } from '../print.ts'

export async function placeOfCa(words: Words): Promise<CaPlace> {
  const state = words.options.get('state')
  const file = words.options.get('config')
  if (state !== undefined && file !== undefined) throw new UsageError('--state or -c, not both')
  if (state !== undefined) return { state, own: null }
  // The configuration may well name the root and the certificates that these verbs are about to make.
  return await loadCaPlace(file === undefined ? {} : { file })
}

export async function caOf(words: Words): Promise<InternalCa> {
  const { state, own } = await placeOfCa(words)
  const ca = openInternalCa(state, own)
  for (const warning of ca.warnings) printError(`${warning}\n`)
  return ca
}

/** A whole number in an option. */
export function numberOption(words: Words, name: string, fallback: number, most: number): number {
  const text = words.options.get(name)
  if (text === undefined) return fallback
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > most) throw new UsageError(`--${name} is a whole number from 1 to ${most}, not ${text}`)
  return value
}

/** Options that do not belong to a subcommand are errors, not silence. */
export function onlyOptions(words: Words, what: string, allowed: readonly string[]): void {
  for (const name of words.options.keys()) {
    if (name === 'config' || name === 'state' || allowed.includes(name)) continue
    const all = ['-c', '--state', ...allowed.map(each => `--${each}`)].join(', ')
    throw new UsageError(`--${name} is not an option of ca ${what}; it has ${all}`)
  }
}

export const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
