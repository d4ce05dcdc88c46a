/**
 * Path patterns, compiled: `/a` exactly; `/a/*` for `/a` and all below it; `*` elsewhere for one segment or a part of
 * one. Candidates for a path are found by looking up the path and each of its parents, so the cost follows the depth
 * of the path and not the number of routes.
 */

export type PathForm = 'exact' | 'prefix' | 'pattern'

export type CompiledPath = {
  readonly form: PathForm
  /** Without `*`: the whole path, or what stands before the first `*`, down to its last '/' */
  readonly base: string
  readonly matches: (path: string) => boolean
  /** More specific first: literal characters count, then the form */
  readonly weight: number
}

function compilePath(pattern: string): CompiledPath {
  const stars = pattern.split('*').length - 1
  if (stars === 0) {
    return { form: 'exact', base: pattern, matches: path => path === pattern, weight: pattern.length * 4 + 3 }
  }
  if (stars === 1 && pattern.endsWith('/*')) {
    const base = pattern.slice(0, -2)
    const below = `${base}/`
    return {
      form: 'prefix',
      base: below,
      matches: path => path === base || path.startsWith(below) || (base === '' && path === '*'),
      weight: base.length * 4 + 1,
    }
  }
  const open = pattern.endsWith('/*')
  const source = (open ? pattern.slice(0, -2) : pattern)
    .split('*')
    .map(literal => literal.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
    .join('[^/]*')
  const form = new RegExp(`^${source}${open ? '(?:/.*)?' : ''}$`)
  const literal = pattern.slice(0, pattern.indexOf('*'))
  return {
    form: 'pattern',
    base: literal.slice(0, literal.lastIndexOf('/') + 1),
    matches: path => form.test(path),
    weight: pattern.replaceAll('*', '').length * 4 + 2,
  }
}

/** Values by path pattern. `find` hands every candidate whose pattern matches to `accept`, most specific first. */
export class Paths<T> {
  private readonly exact = new Map<string, Entry<T>[]>()
  /** Prefixes and patterns by the folder they begin in */
  private readonly folders = new Map<string, Entry<T>[]>()

  add(pattern: string, value: T, rank: number): void {
    const path = compilePath(pattern)
    const into = path.form === 'exact' ? this.exact : this.folders
    const list = into.get(path.base) ?? []
    list.push({ path, value, rank })
    list.sort((a, b) => b.path.weight - a.path.weight || b.rank - a.rank)
    into.set(path.base, list)
  }

  find(path: string, accept: (value: T) => boolean): T | null {
    const own = this.exact.get(path)
    if (own !== undefined) for (const entry of own) if (accept(entry.value)) return entry.value
    // `/a/*` takes `/a` itself too.
    const asFolder = path === '*' ? '/' : path.endsWith('/') ? path : `${path}/`
    let end = asFolder.length
    while (end > 0) {
      const list = this.folders.get(asFolder.slice(0, end))
      if (list !== undefined) {
        for (const entry of list) if (entry.path.matches(path) && accept(entry.value)) return entry.value
      }
      // A negative position would count as 0, and find the first slash for ever.
      end = end > 1 ? asFolder.lastIndexOf('/', end - 2) + 1 : 0
    }
    return null
  }
}

type Entry<T> = { readonly path: CompiledPath; readonly value: T; readonly rank: number }
