/** `requestId`: the id of a request goes to the backend and back to the client in `X-Request-Id`, and may come from the client. */
import type { RawValue } from '../../config/engine/infer.ts'
import { kind, shape } from '../../config/engine/kinds.ts'
import type { Link } from '../../model/link.ts'
import { type Sink, type Stage, WrappedSink } from '../../model/stage.ts'
import { fieldNames } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { feature } from '../feature.ts'

const name = 'x-request-id'
const names = fieldNames([name])

const requestIdShape = shape({
  name: 'requestId',
  docs: 'Sends the id of each request in `X-Request-Id`.',
  rows: {
    accept: {
      kind: { type: 'boolean' },
      default: false,
      docs:
        'Takes the id that the client sends, if it has 1 to 128 letters, digits and `-._~:+/=@`. Only for clients that you trust to choose unique ' +
        'ids, such as a CDN. Otherwise the id of the client is replaced.',
      example: 'true',
    },
    respond: {
      kind: { type: 'boolean' },
      default: true,
      docs: 'Whether responses have the id.',
      example: 'false',
    },
  },
})

const requestIdKind = kind({
  type: 'either',
  text: { type: 'boolean' },
  map: { type: 'object', shape: requestIdShape },
})

export const requestId = feature({
  docs: 'Whether requests and responses have the id of the request.',
  row: {
    kind: requestIdKind,
    docs:
      'Sends the id that the log has for a request to the backend and to the client, in `X-Request-Id`: `true`, `false`, or how. Off by ' +
      'default: what the client and the backend send under that name is then forwarded as it is.',
    example: '{ accept: true }',
  },
  inherits: 'replaces',
  compile(values) {
    const how = settingsOf(values.at(-1))
    return how === null ? {} : { outside: requestIdStage(how) }
  },
  explain(value) {
    const how = settingsOf(value)
    if (how === null) return 'off'
    return `X-Request-Id for the backend${how.respond ? ' and the client' : ''}${how.accept ? ', taken from the client' : ''}`
  },
})

type Settings = { readonly accept: boolean; readonly respond: boolean }

function settingsOf(written: RawValue<typeof requestIdKind> | undefined): Settings | null {
  if (written === undefined || written.value === false) return null
  const { accept = false, respond = true } = written.as === 'map' ? written.value : {}
  return { accept, respond }
}

const wellFormed = /^[A-Za-z0-9._~:+/=@-]{1,128}$/

function requestIdStage({ accept, respond }: Settings): Stage {
  return inner => (exchange, sink) => {
    const { fields } = exchange.head
    if (accept) {
      const sent = fields.getAll(name)
      if (sent.length === 1 && wellFormed.test(sent[0] as string)) exchange.id = sent[0] as string
    }
    const line = `${name}: ${exchange.id}\r\n`
    fields.replace(names, line, names.bits)
    return inner(exchange, respond ? new RequestIdSink(sink, line) : sink)
  }
}

class RequestIdSink extends WrappedSink {
  private readonly line: string

  constructor(sink: Sink, line: string) {
    super(sink)
    this.line = line
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    head.fields.replace(names, this.line, names.bits)
    this.sink.answer(head, bodyless)
  }

  override switched(head: ResponseHead, backend: Link, early: readonly Buffer[]): void {
    head.fields.replace(names, this.line, names.bits)
    this.sink.switched(head, backend, early)
  }
}
