/** `hsts`: Strict-Transport-Security on every answer over TLS (RFC 6797). */
import { type Sink, type Stage, WrappedSink } from '../../model/stage.ts'
import { fieldNames } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { feature } from '../feature.ts'
import { checkHsts } from './check.ts'
import { hstsShape } from './options.ts'

const name = 'strict-transport-security'
const names = fieldNames([name])

export const hsts = feature({
  docs: 'Tells browsers to use https only (RFC 6797).',
  row: {
    kind: { type: 'object', shape: hstsShape },
    docs: 'Tells browsers to use https only (RFC 6797). Off by default.',
    example: '{ maxAge: 31536000 }',
  },
  inherits: 'replaces',
  check: checkHsts,
  compile: values => ({ outside: hstsStage(`${name}: ${fieldValue(values.at(-1))}\r\n`) }),
  explain: value => fieldValue(value),
})

type Written = { readonly maxAge?: number; readonly subdomains?: boolean; readonly preload?: boolean }

const fieldValue = ({ maxAge = 0, subdomains, preload }: Written = {}): string =>
  `max-age=${maxAge}${subdomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`

/** Over TLS only: in cleartext anybody on the path could have written it, and browsers do not look at it. */
function hstsStage(line: string): Stage {
  return inner => (exchange, sink) => inner(exchange, exchange.client.secure ? new HstsSink(sink, line) : sink)
}

/** It takes the place of what a backend sends: a browser goes by the first it sees. */
class HstsSink extends WrappedSink {
  private readonly line: string

  constructor(sink: Sink, line: string) {
    super(sink)
    this.line = line
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    head.fields.replace(names, this.line, names.bits)
    this.sink.answer(head, bodyless)
  }
}
