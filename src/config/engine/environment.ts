/**
 * Environment variables in configuration files: `${NAME}`, `${NAME:-default}` (used when NAME is unset or empty), and
 * `$${` for a literal `${`.
 *
 * Braces mean something to YAML (`{ port: ${PORT} }` would not parse), so before parsing they are swapped for
 * two private-use characters of the same length in UTF-16, and every position stays true. Values go in after parsing,
 * so that whatever a variable holds, it is one scalar: it cannot add keys or lists.
 */

const open = '\uE000'
const close = '\uE001'

export type Environment = Readonly<Record<string, string | undefined>>

/** Makes the text safe to parse. */
export function protectVariables(text: string): string {
  if (!text.includes('${')) return text
  return text.replace(/\$\{([^{}\n]*)\}/g, `$$${open}$1${close}`)
}

/** Undoes protectVariables, for what may not hold variables. */
export function showVariables(text: string): string {
  return text.replaceAll(open, '{').replaceAll(close, '}')
}

type Expanded =
  /** `fromVariable`: a part of it was not written in the file */
  | { readonly text: string; readonly fromVariable: boolean }
  /** `unset`: the variable is well named, and has no value */
  | { readonly wrong: string; readonly hint: string; readonly unset: boolean }

/** Puts the values in. The text comes from a scalar of a protected file. */
export function expandVariables(text: string, environment: Environment): Expanded {
  let wrong: string | null = null
  let hint = ''
  let unset = true
  let fromVariable = false
  const expanded = text.replace(/(\$?)\$\uE000([^\uE001]*)\uE001/g, (_, escaped: string, inside: string) => {
    if (escaped) return `\${${inside}}`
    const found = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside)
    if (!found) {
      wrong ??= `\${${inside}} is not the name of an environment variable`
      unset = false
      hint ||= 'names are letters, digits and _; write $${ for a literal ${'
      return ''
    }
    const [, name, fallback] = found
    const value = environment[name!]
    if (value !== undefined && (value !== '' || fallback === undefined)) {
      fromVariable = true
      return value
    }
    if (fallback !== undefined) return fallback
    wrong ??= `the environment variable ${name} is not set`
    hint ||= `set it, or give a default: \${${name}:-value}; write $\${ for a literal \${`
    return ''
  })
  if (wrong !== null) return { wrong, hint, unset }
  return { text: showVariables(expanded), fromVariable }
}
