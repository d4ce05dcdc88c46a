/** `errors`: the operator's own pages for errors, on every level where a stage may stand. */
import type { RawValue } from '../../config/engine/infer.ts'
import type { Problems } from '../../config/engine/problem.ts'
import { type Node, placeOf } from '../../config/engine/tree.ts'
import type { Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'
import { pageProblem } from '../pages.ts'
import { ErrorsSink, type Pages } from './errors-sink.ts'
import { errorsKind } from './options.ts'

type Written = RawValue<typeof errorsKind>

export const errors = feature({
  docs: "Your own pages for errors, in place of the gateway's.",
  row: {
    kind: errorsKind,
    docs:
      "Your own pages for errors, in place of the gateway's: by status, 400 to 599, or `4xx` and `5xx` for all of a class without a page of " +
      "their own. `on: gateway`, the default, covers errors of the gateway; `on: all` also replaces backends' responses with such a status. Pages " +
      'are read again when their files change. gRPC calls get a gRPC status and no page.',
    example: '{ 502: { file: sorry.html }, 4xx: { file: oops.html }, on: all }',
  },
  inherits: 'replaces',
  check(value, node, problems) {
    for (const [key, entry] of value) checkEntry(key, entry, node, problems)
    if ([...value.keys()].every(key => key === 'on'))
      problems.error(node.at, 'errors has no page', 'as in errors: { 502: { file: sorry.html } }')
  },
  compile(values, _where, _outward, lasting) {
    const value = values.at(-1)
    if (value === undefined) return {}
    const pages = [...filesOf(value)].map(([status, file]) => [status, lasting.page(file)] as const)
    return { outside: errorsStage(new Map(pages), ofAll(value)) }
  },
  explain(value) {
    const pages = [...filesOf(value)].map(([status, file]) => `${status} ${file}`).join(', ')
    return ofAll(value) ? `${pages}; for backends' responses too` : pages
  },
})

type Entry = Written extends ReadonlyMap<string, infer E> ? E : never

function checkEntry(key: string, entry: Entry, node: Node, problems: Problems): void {
  const at = placeOf(node, key)
  if (entry === undefined) return
  if (key === 'on') {
    if (entry.as !== 'text' || (entry.value !== 'gateway' && entry.value !== 'all'))
      problems.error(at, 'on takes gateway or all', 'all also replaces responses of backends')
    return
  }
  if (entry.as === 'text') problems.error(at, `${key} takes a page`, `write ${key}: { file: ${entry.value} }`)
  else if (entry.value?.fileFile !== undefined) {
    const problem = pageProblem(entry.value.fileFile)
    if (problem !== null) problems.error(at, problem)
  }
}

const ofAll = (value: Written): boolean => value.get('on')?.value === 'all'

function filesOf(value: Written): ReadonlyMap<string, string> {
  const files = [...value].flatMap(([status, entry]): [string, string][] =>
    entry?.as === 'map' && entry.value?.fileFile !== undefined ? [[status, entry.value.fileFile]] : [],
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
