/**
 * What the stars of a path pattern took of a path, in the order of the pattern and in time in proportion to both together.
 * A star within a segment takes as little as it can; a last `/*` takes everything below with its slash, or nothing.
 */
import { beginsWith } from '../base/begins-with.ts'
import { captureWildcard, compileWildcard } from './wildcard.ts'

export type Captures = (path: string) => readonly string[] | null

/** @param pattern as in `match.path` */
export function compileCaptures(pattern: string): Captures {
  const open = pattern.endsWith('/*')
  const fixed = open ? pattern.slice(0, -2) : pattern
  if (open && !fixed.includes('*')) return below(fixed)
  const segments = fixed.split('/').map(compileWildcard)
  return path => {
    const taken: string[] = []
    let from = 0
    for (const [index, segment] of segments.entries()) {
      const slash = path.indexOf('/', from)
      const to = slash < 0 ? path.length : slash
      if (!captureWildcard(segment, path, from, to, taken)) return null
      if (index === segments.length - 1) {
        if (open) taken.push(slash < 0 ? '' : path.slice(slash))
        return slash < 0 || open ? taken : null
      }
      if (slash < 0) return null
      from = slash + 1
    }
    return null
  }
}

/** The plain case: one last star behind a fixed prefix. */
function below(prefix: string): Captures {
  return path => {
    if (!beginsWith(path, prefix)) return null
    return path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f
      ? [path.slice(prefix.length)]
      : null
  }
}

/** What the last star of the first of these patterns that matches took, without the slash before it. */
export function restOf(patterns: readonly string[]): (path: string) => string {
  if (patterns.length === 0) return path => path.slice(1)
  const each = patterns.map(pattern => (pattern.includes('*') ? compileCaptures(pattern) : null))
  return path => {
    for (const captures of each) {
      const rest = captures?.(path)?.at(-1)
      if (rest !== undefined) return rest.startsWith('/') ? rest.slice(1) : rest
    }
    return ''
  }
}
