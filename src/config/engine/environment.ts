/**
 * Values from outside in configuration files: `${NAME}` is an environment variable, `${NAME:-default}` has a default for when it
 * is unset or empty, `${file:PATH}` is what a file holds, and `$${` is a literal `${`. A PATH may hold variables.
 *
 * Braces mean something to YAML (`{ port: ${PORT} }` would not parse), so before parsing they are swapped for
 * two private-use characters of the same length in UTF-16, and every position stays true. Values go in after parsing,
 * so that whatever a variable or a file holds, it is one scalar: it cannot add keys or lists.
 */
import path from 'node:path'
import type { FilesRead } from './files-read.ts'

const open = '\uE000'
const close = '\uE001'

export type Environment = Readonly<Record<string, string | undefined>>

/** Where values come from. */
export type Outside = {
  readonly environment: Environment
  readonly files: FilesRead
  /** Relative paths of files begin here */
  readonly folder: string
}

/** Makes the text safe to parse. */
export function protectVariables(text: string): string {
  if (!text.includes('${')) return text
  return text.replace(/\$\{(?:file:(?:[^{}\n]|\$\{[^{}\n]*\})*|[^{}\n]*)\}/g, found =>
    found.replaceAll('{', open).replaceAll('}', close),
  )
}

/** Undoes protectVariables, for what may not hold variables. */
export function showVariables(text: string): string {
  return text.replaceAll(open, '{').replaceAll(close, '}')
}

/** `unset`: well written, and there is no such variable or file */
type Wrong = { readonly wrong: string; readonly hint: string; readonly unset: boolean }

type Expanded =
  /** `fromOutside`: a part of it was not written in the file */
  { readonly text: string; readonly fromOutside: boolean } | Wrong

/** Puts the values in. The text comes from a scalar of a protected file. */
export function expandVariables(text: string, outside: Outside): Expanded {
  const all = /(\$?)\$\uE000((?:[^\uE000\uE001]|\uE000[^\uE000\uE001]*\uE001)*)\uE001/g
  let expanded = ''
  let end = 0
  let fromOutside = false
  let first: Wrong | null = null
  let unset = true
  for (const { 0: whole, 1: escaped, 2: inside, index } of text.matchAll(all)) {
    expanded += showVariables(text.slice(end, index))
    end = index + whole.length
    if (escaped) {
      expanded += showVariables(whole.slice(1))
      continue
    }
    const found = inside!.startsWith('file:')
      ? valueOfFile(inside!.slice('file:'.length), outside)
      : valueOfVariable(inside!, outside.environment)
    if ('wrong' in found) {
      first ??= found
      unset &&= found.unset
      continue
    }
    fromOutside ||= found.fromOutside
    expanded += found.text
  }
  return first ? { ...first, unset } : { text: expanded + showVariables(text.slice(end)), fromOutside }
}

function valueOfVariable(inside: string, environment: Environment): Expanded {
  const found = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside)
  if (!found)
    return {
      wrong: `\${${showVariables(inside)}} is not the name of an environment variable`,
      hint: 'names are letters, digits and _; write $${ for a literal ${',
      unset: false,
    }
  const [, name, fallback] = found
  const value = environment[name!]
  if (value !== undefined && (value !== '' || fallback === undefined)) return { text: value, fromOutside: true }
  if (fallback !== undefined) return { text: showVariables(fallback), fromOutside: false }
  return {
    wrong: `the environment variable ${name} is not set`,
    hint: `set it, or give a default: \${${name}:-value}; write $\${ for a literal \${`,
    unset: true,
  }
}

function valueOfFile(written: string, outside: Outside): Expanded {
  const named = expandVariables(written, outside)
  if ('wrong' in named) return named
  const shown = `\${file:${showVariables(written)}}`
  if (named.text.trim() === '' || named.text.includes('\0'))
    return { wrong: `${shown} names no file`, hint: `as in \${file:/run/secrets/admin-token}`, unset: false }
  const file = path.resolve(outside.folder, named.text)
  const read = outside.files.value(file)
  if ('text' in read) return { text: read.text, fromOutside: true }
  return { wrong: `${shown}: the file ${read.wrong}`, hint: hintFor(read, named, file), unset: read.missing }
}

function hintFor(
  read: { readonly wrong: string; readonly missing: boolean },
  named: { readonly text: string; readonly fromOutside: boolean },
  file: string,
): string {
  // The value of a variable in the path is not shown either.
  const looked = named.fromOutside || file === named.text ? '' : `looked for ${file}; `
  if (read.missing && named.text.includes(':-')) return `${looked}a file has no default: remove :-`
  if (read.missing) return `${looked}create it, or correct the path`
  if (read.wrong.startsWith('is larger')) return `${looked}it should hold one password, key or token`
  if (read.wrong.startsWith('cannot')) return `${looked}let the user that runs the gateway read it`
  return `${looked}name a file that holds one value as text`
}
