/** `compress`: content codings for clients that accept them (RFC 9110 section 8.4). */
import type { RawValue } from '../../config/engine/infer.ts'
import type { Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'
import { type Choice, chooseCoding } from './accept-encoding.ts'
import { type Coding, codings } from './codings.ts'
import { CompressRequest, CompressSink, type Terms } from './compress-sink.ts'
import { compileTypes } from './media-types.ts'
import { compressKind, defaultMinBytes, defaultTypes } from './options.ts'

export const compress = feature({
  docs: 'Compresses responses for clients that accept it.',
  row: {
    kind: compressKind,
    docs: 'Compresses responses for clients that accept it: `true`, `false`, or how. Off by default.',
    example: '{ algorithms: [zstd, br, gzip], min: 1kb }',
  },
  inherits: 'replaces',
  compile(values) {
    const how = settingsOf(values.at(-1))
    if (how === null) return {}
    const { types, minBytes, level, algorithms } = how
    return { outside: compressStage({ types: compileTypes(types), minBytes, level }, algorithms) }
  },
  explain(value) {
    const how = settingsOf(value)
    if (how === null) return 'off'
    const from = how.minBytes > 0 ? `, from ${how.minBytes} bytes` : ''
    return `${how.algorithms.join(', ')} for ${how.types.join(', ')}${from}`
  },
})

type Settings = {
  readonly types: readonly string[]
  readonly minBytes: number
  readonly level: number | null
  readonly algorithms: readonly Coding[]
}

/** Null where it is switched off, or nothing is written. */
function settingsOf(written: RawValue<typeof compressKind> | undefined): Settings | null {
  if (written === undefined || written.value === false) return null
  const {
    types = [],
    minBytes = defaultMinBytes,
    level = null,
    algorithms = [],
  } = written.as === 'map' ? written.value : {}
  return {
    types: types.length === 0 ? defaultTypes : types,
    minBytes,
    level,
    algorithms: algorithms.length === 0 ? codings : algorithms,
  }
}

function compressStage(terms: Terms, algorithms: readonly Coding[]): Stage {
  // Nearly all clients of a route say one of a few things.
  let latest: string | null = null
  let choice: Choice = chooseCoding(null, algorithms)
  return inner => (exchange, sink) => {
    const { grpc, fields } = exchange.head
    if (grpc) return inner(exchange, sink)
    const all = fields.getAll('accept-encoding')
    const accept = all.length === 0 ? null : all.join(',')
    if (accept !== latest) {
      choice = chooseCoding(accept, algorithms)
      latest = accept
    }
    const answer = new CompressSink(sink, exchange, terms, choice)
    const request = inner(exchange, answer)
    return choice.coding === null ? request : new CompressRequest(request, answer)
  }
}
