/** `headers`: sets, adds and removes fields of requests and responses. */
import type { Raw } from '../../config/engine/infer.ts'
import { type Sink, type Stage, type StagedExchange, WrappedSink } from '../../model/stage.ts'
import { dropForwarded, identity } from '../../proxy/exchange/filter-fields.ts'
import { restOf } from '../../route/captures.ts'
import { type Fields, fieldNames } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { isHost } from '../../wire/host.ts'
import { feature } from '../feature.ts'
import type { Facts, Template } from '../template.ts'
import { type Change, type CompiledChanges, compileChanges, textOf } from './changes.ts'
import { headersShape } from './options.ts'

type Written = NonNullable<Raw<typeof headersShape>['request']> | NonNullable<Raw<typeof headersShape>['response']>

export const headers = feature({
  docs: 'Sets, adds and removes header fields of requests and responses.',
  row: {
    kind: { type: 'object', shape: headersShape },
    docs: 'Header fields that are set, added or removed, with values from the exchange.',
    example: '{ request: { set: { x-client: "{client.address}" } }, response: { remove: [server] } }',
  },
  inherits: 'adds',
  compile(values, { paths }) {
    const rest = restOf(paths)
    const request = values.flatMap(value => changesOf(value.request))
    const response = values.flatMap(value => changesOf(value.response))
    return {
      ...(response.length > 0 ? { outside: responseStage(response, rest) } : {}),
      ...(request.length > 0 ? { inside: requestStage(request, rest) } : {}),
    }
  },
  explain({ request, response }) {
    const parts = [
      ...changesOf(request).map(({ does, name }) => `${does} ${name}`),
      ...changesOf(response).map(({ does, name }) => `${does} ${name} of the response`),
    ]
    return parts.join(', ')
  },
})

function changesOf(written: Written | undefined): Change[] {
  const { remove = [], set = new Map(), add = new Map() } = written ?? {}
  const all = (does: 'set' | 'add', map: ReadonlyMap<string, Template | undefined>): Change[] =>
    [...map].flatMap(([name, template]) => (template === undefined ? [] : [{ does, name, template }]))
  return [...remove.map((name): Change => ({ does: 'remove', name })), ...all('set', set), ...all('add', add)]
}

function requestStage(changes: readonly Change[], rest: (path: string) => string): Stage {
  // A Host is not a field among others: it stays as it was where what a template gives is none.
  const host = changes.findLast(({ name }) => name === 'host')
  const template = host === undefined || host.does === 'remove' ? null : host.template
  // Fields that say who the client is are never doubled.
  const others = changes
    .filter(({ name }) => name !== 'host')
    .map(change =>
      change.does === 'add' && identity.has(change.name) ? { ...change, does: 'set' as const } : change,
    )
  const change = requestChange(others)
  // Of these alone the gateway sends any itself.
  const own = fieldNames([...new Set(others.map(({ name }) => name))].filter(name => identity.has(name)))
  return inner => (exchange, sink) => {
    const facts: Facts = { exchange, response: null, rest }
    const value = template === null ? null : template(facts)
    if (value !== null && isHost(value)) exchange.hostField = value
    change(exchange.head.fields, facts)
    if (own.names.length > 0) dropForwarded(exchange, own)
    return inner(exchange, sink)
  }
}

function requestChange(changes: readonly Change[]): (fields: Fields, facts: Facts) => void {
  if (!changes.some(change => change.does !== 'remove' && change.template.readsFields)) {
    const { gone, lines, added } = compileChanges(changes)
    return (fields, facts) => fields.replace(gone, textOf(lines, facts), added)
  }
  // A value that is taken from a field sees what the changes before it have done.
  const steps = changes.map(change => compileChanges([change]))
  return (fields, facts) => {
    for (const { gone, lines, added } of steps) fields.replace(gone, textOf(lines, facts), added)
  }
}

function responseStage(changes: readonly Change[], rest: (path: string) => string): Stage {
  const compiled = compileChanges(changes)
  return inner => (exchange, sink) => inner(exchange, new HeadersSink(sink, exchange, compiled, rest))
}

class HeadersSink extends WrappedSink {
  private readonly exchange: StagedExchange
  private readonly changes: CompiledChanges
  private readonly rest: (path: string) => string

  constructor(sink: Sink, exchange: StagedExchange, changes: CompiledChanges, rest: (path: string) => string) {
    super(sink)
    this.exchange = exchange
    this.changes = changes
    this.rest = rest
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    const { gone, lines, added, touchesDate } = this.changes
    const text =
      typeof lines === 'string' ? lines : lines({ exchange: this.exchange, response: head, rest: this.rest })
    head.fields.replace(gone, text, added)
    if (touchesDate) head.dated = head.fields.has('date')
    this.sink.answer(head, bodyless)
  }
}
