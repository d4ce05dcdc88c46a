/**
 * Path patterns, compiled: `/a` exactly; `/a/*` for `/a` and all below it; `*` elsewhere for one segment or a part of
 * one. Folders are a tree: a path is walked down once and candidates are tried on the way back up, so the cost follows
 * the length of the path and not the number of routes. How a pattern is matched: wildcard.ts.
 */
import { compileWildcard, matchesWildcard } from './wildcard.ts'

type PathForm = 'exact' | 'prefix' | 'pattern'

type CompiledPath = {
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
  const literal = pattern.slice(0, pattern.indexOf('*'))
  return {
    form: 'pattern',
    base: literal.slice(0, literal.lastIndexOf('/') + 1),
    matches: segmentMatcher(pattern),
    weight: pattern.replaceAll('*', '').length * 4 + 2,
  }
}

/** A star never takes a slash, so each segment is matched by itself; a last `/*` takes what there is below, or nothing. */
function segmentMatcher(pattern: string): (path: string) => boolean {
  const open = pattern.endsWith('/*')
  const segments = (open ? pattern.slice(0, -2) : pattern).split('/').map(compileWildcard)
  return path => {
    let from = 0
    for (const [index, segment] of segments.entries()) {
      const slash = path.indexOf('/', from)
      const to = slash < 0 ? path.length : slash
      if (!matchesWildcard(segment, path, from, to)) return false
      if (index === segments.length - 1) return slash < 0 || open
      if (slash < 0) return false
      from = slash + 1
    }
    return false
  }
}

/** A folder that patterns begin in, or that leads to one */
type Folder<T> = {
  readonly above: Folder<T> | null
  readonly below: Map<string, Folder<T>>
  readonly entries: Entry<T>[]
}

/** Values by path pattern. `find` hands every candidate whose pattern matches to `accept`, most specific first. */
export class Paths<T> {
  private readonly exact = new Map<string, Entry<T>[]>()
  private readonly root: Folder<T> = { above: null, below: new Map(), entries: [] }

  add(pattern: string, value: T, rank: number): void {
    const path = compilePath(pattern)
    const list = path.form === 'exact' ? this.exactly(path.base) : this.folder(path.base).entries
    insert(list, { path, value, rank })
  }

  find(path: string, accept: (value: T) => boolean): T | null {
    const own = this.exact.get(path)
    if (own !== undefined) for (const entry of own) if (accept(entry.value)) return entry.value
    let folder = path === '*' ? this.root : this.deepest(path)
    for (;;) {
      for (const entry of folder.entries) if (entry.path.matches(path) && accept(entry.value)) return entry.value
      if (folder.above === null) return null
      folder = folder.above
    }
  }

  /** The last folder on the way down that any pattern has named. `/a/*` takes `/a` itself too. */
  private deepest(path: string): Folder<T> {
    let folder = this.root
    for (let from = 1; from < path.length; ) {
      if (folder.below.size === 0) return folder
      const slash = path.indexOf('/', from)
      const to = slash < 0 ? path.length : slash
      const next = folder.below.get(path.slice(from, to))
      if (next === undefined) return folder
      folder = next
      from = to + 1
    }
    return folder
  }

  private exactly(path: string): Entry<T>[] {
    const list = this.exact.get(path) ?? []
    this.exact.set(path, list)
    return list
  }

  /** @param base with a slash at both ends */
  private folder(base: string): Folder<T> {
    let folder = this.root
    for (const name of base.split('/').slice(1, -1)) {
      let next = folder.below.get(name)
      if (next === undefined) {
        next = { above: folder, below: new Map(), entries: [] }
        folder.below.set(name, next)
      }
      folder = next
    }
    return folder
  }
}

type Entry<T> = { readonly path: CompiledPath; readonly value: T; readonly rank: number }

/** Before the first that is less specific, so that ten thousand patterns in one folder are not sorted ten thousand times. */
function insert<T>(list: Entry<T>[], entry: Entry<T>): void {
  let from = 0
  let to = list.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (before(entry, list[middle] as Entry<T>)) to = middle
    else from = middle + 1
  }
  list.splice(from, 0, entry)
}

const before = <T>(one: Entry<T>, other: Entry<T>): boolean =>
  one.path.weight > other.path.weight || (one.path.weight === other.path.weight && one.rank > other.rank)
