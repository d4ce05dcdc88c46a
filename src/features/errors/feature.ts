/** `errors`: the operator's own pages for errors, on every level where a stage may stand. */
import { UsageError } from '../../base/errors.ts'
import type { Raw } from '../../config/engine/infer.ts'
import { placeOf } from '../../config/engine/tree.ts'
import type { Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'
import { ErrorsSink } from './errors-sink.ts'
import { errorsShape } from './options.ts'
import { type Page, readPage } from './pages.ts'

type Written = Raw<typeof errorsShape>

export const errors = feature({
  docs: "Your own pages for errors, in place of the gateway's.",
  row: {
    kind: { type: 'object', shape: errorsShape },
    docs: "Your own pages for errors, in place of the gateway's.",
    example: '{ pages: { 502: sorry.html, 4xx: oops.html }, on: all }',
  },
  inherits: 'replaces',
  check(value, node, problems) {
    for (const file of new Set(filesOf(value).values())) {
      const page = readPage(file)
      if (typeof page === 'string') problems.error(placeOf(node, 'pages'), page)
    }
  },
  compile(values) {
    const value = values.at(-1)
    return value === undefined ? {} : { outside: errorsStage(pagesOf(value), value.on === 'all') }
  },
  explain(value) {
    const pages = [...filesOf(value)].map(([status, file]) => `${status} ${file}`).join(', ')
    return value.on === 'all' ? `${pages}; for backends' responses too` : pages
  },
})

type Pages = ReadonlyMap<string, Page>

/** One reading of a level's files serves every site and route that inherits it; a reload reads a level anew. */
const readOnce = new WeakMap<Written, Pages>()

function pagesOf(value: Written): Pages {
  const known = readOnce.get(value)
  if (known !== undefined) return known
  const pages = new Map<string, Page>()
  for (const [status, file] of filesOf(value)) {
    const page = readPage(file)
    if (typeof page === 'string') throw new UsageError(`errors.pages: ${page}`)
    pages.set(status, page)
  }
  readOnce.set(value, pages)
  return pages
}

function filesOf({ pages }: Written): ReadonlyMap<string, string> {
  const files = [...(pages ?? [])].flatMap(([status, file]): [string, string][] =>
    file === undefined ? [] : [[`${status}`, file]],
  )
  return new Map(files)
}

function errorsStage(pages: Pages, ofBackends: boolean): Stage {
  return inner => (exchange, sink) => {
    if (exchange.head.grpc) return inner(exchange, sink)
    const answer = new ErrorsSink(sink, exchange, pages, ofBackends)
    const request = inner(exchange, answer)
    answer.asked(request)
    return request
  }
}
