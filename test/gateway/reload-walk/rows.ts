/** The rows of the configuration schema by their paths, as in `sites[].routes[].timeouts.response`, and how one is changed. */
import type { Kind, Row, Shape } from '../../../src/config/engine/kinds.ts'
import { configShape } from '../../../src/config/schema.ts'

/** Every row, with whether it needs an effect of its own. */
export function schemaRows(): ReadonlyMap<string, { readonly own: boolean }> {
  const rows = new Map<string, { readonly own: boolean }>()
  const ofShape = (shape: Shape, above: string): void => {
    for (const [key, row] of Object.entries(shape.rows)) {
      const path = above === '' ? key : `${above}.${key}`
      // An object that is always there is nothing but its rows.
      rows.set(path, { own: row.kind.type !== 'object' || !isAlwaysThere(row) })
      below(row.kind, path)
    }
  }
  const below = (kind: Kind, path: string): void => {
    switch (kind.type) {
      case 'object':
        ofShape(kind.shape, path)
        return
      case 'list':
        below(kind.of, `${path}[]`)
        return
      case 'map':
        below(kind.of, `${path}.*`)
        return
      case 'either':
        for (const each of [kind.text, kind.list, kind.map]) if (each !== undefined) below(each, path)
    }
  }
  ofShape(configShape, '')
  return rows
}

const isAlwaysThere = (row: Row): boolean => row.required === true || row.default !== undefined

type Tree = Record<string, unknown> | unknown[]

/** A copy with another value at `path`: in the first item of each list, under the first key of each map; undefined removes it. */
export function withValue<T>(config: T, path: string, value: unknown): T {
  const keys = path.replaceAll('[]', '.[]').split('.')
  return put(config, keys, value) as T
}

function put(from: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  if (key === '[]') {
    const list = Array.isArray(from) ? [...from] : []
    list[0] = put(list[0], rest, value)
    return list
  }
  const map: Record<string, unknown> = { ...(from as Exclude<Tree, unknown[]> | undefined) }
  const name = key === '*' ? (Object.keys(map)[0] ?? 'one') : key
  const inner = put(map[name], rest, value)
  if (inner === undefined) delete map[name]
  else map[name] = inner
  return map
}
