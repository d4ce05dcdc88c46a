/** `headers`: sets, adds and removes fields of requests and responses. */
import type { Raw } from '../../config/engine/infer.ts'
import { type Sink, type Stage, type StagedExchange, WrappedSink } from '../../model/stage.ts'
import { RequestFields } from '../../proxy/exchange/filter-fields.ts'
import { restOf } from '../../route/captures.ts'
import type { Fields } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { isHost } from '../../wire/host.ts'
import { feature } from '../feature.ts'
import type { Facts, Template } from '../template.ts'
import { headersShape } from './options.ts'

type Written = NonNullable<Raw<typeof headersShape>['request']> | NonNullable<Raw<typeof headersShape>['response']>

/** What is done to one head, in order: the changes of outer levels first. */
type Change =
  | { readonly does: 'remove'; readonly name: string }
  | { readonly does: 'set' | 'add'; readonly name: string; readonly template: Template }

/** The fields of a head, as changes see them. */
type Changed = Pick<Fields, 'set' | 'append' | 'delete'>

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

function apply(changes: readonly Change[], fields: Changed, facts: Facts): void {
  for (const change of changes) {
    const value = change.does === 'remove' ? null : change.template(facts)
    if (value !== null) {
      if (change.does === 'set') fields.set(change.name, value)
      else fields.append(change.name, value)
    } else if (change.does !== 'add') fields.delete(change.name)
  }
}

function requestStage(changes: readonly Change[], rest: (path: string) => string): Stage {
  return inner => (exchange, sink) => {
    apply(changes, new RequestTarget(exchange), { exchange, response: null, rest })
    return inner(exchange, sink)
  }
}

/** The fields of the request, where a Host that a template gives must be one, and is left as it was where there is none. */
class RequestTarget implements Changed {
  private readonly exchange: StagedExchange
  private readonly fields: RequestFields

  constructor(exchange: StagedExchange) {
    this.exchange = exchange
    this.fields = new RequestFields(exchange)
  }

  set(name: string, value: string): void {
    if (name !== 'host') this.fields.set(name, value)
    else if (isHost(value)) this.exchange.hostField = value
  }

  append(name: string, value: string): void {
    if (name === 'host') this.set(name, value)
    else this.fields.append(name, value)
  }

  delete(name: string): void {
    if (name !== 'host') this.fields.delete(name)
  }
}

function responseStage(changes: readonly Change[], rest: (path: string) => string): Stage {
  return inner => (exchange, sink) => inner(exchange, new HeadersSink(sink, exchange, changes, rest))
}

class HeadersSink extends WrappedSink {
  private readonly exchange: StagedExchange
  private readonly changes: readonly Change[]
  private readonly rest: (path: string) => string

  constructor(sink: Sink, exchange: StagedExchange, changes: readonly Change[], rest: (path: string) => string) {
    super(sink)
    this.exchange = exchange
    this.changes = changes
    this.rest = rest
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    apply(this.changes, head.fields, { exchange: this.exchange, response: head, rest: this.rest })
    this.sink.answer(head, bodyless)
  }
}
