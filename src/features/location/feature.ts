/** `location`: URLs in Location, Content-Location and Refresh of backends that do not know their outside. */
import type { Formed } from '../../config/engine/forms.ts'
import type { RawValue } from '../../config/engine/infer.ts'
import { kind, shape } from '../../config/engine/kinds.ts'
import { type Sink, type Stage, type StagedExchange, WrappedSink } from '../../model/stage.ts'
import { fieldNames } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { isHost } from '../../wire/host.ts'
import { feature } from '../feature.ts'
import { hostAndPort, originOf, outside, type Terms } from './reference.ts'

/** As originOf writes it. */
function origin(text: string): Formed<string> {
  const [, scheme, authority] = /^(https?):\/\/([^/?#@]+)\/?$/.exec(text.toLowerCase()) ?? []
  if (scheme === undefined || authority === undefined || !isHost(authority))
    return {
      wrong: `${text}: an origin is a scheme, a host and maybe a port`,
      hint: 'as in http://app.internal:3000',
    }
  const { host, port } = hostAndPort(authority, scheme)
  return { ok: originOf(scheme, host, port) }
}

const locationKind = kind({
  type: 'either',
  text: { type: 'choice', of: ['rewrite', 'keep'] },
  map: {
    type: 'object',
    shape: shape({
      name: 'location',
      docs: 'Rewrites URLs in `Location`, `Content-Location` and `Refresh` of backends, as `location: rewrite` does, with more origins that are the backend.',
      rows: {
        origins: {
          kind: { type: 'list', of: { type: 'string', form: origin, write: 'origin' }, single: true },
          required: true,
          docs: 'Origins that the backend calls itself by, beside the address of its endpoint and the Host that it was sent.',
          example: '[http://app.internal:3000]',
        },
      },
    }),
  },
})

export const location = feature({
  docs: 'Rewrites URLs in `Location`, `Content-Location` and `Refresh` of backends that do not know their outside.',
  row: {
    kind: locationKind,
    docs:
      "`rewrite`: where a backend's `Location`, `Content-Location` or `Refresh` names the backend itself or the requested host, it gets the scheme, host and " +
      'port that the client used, and its path goes back through `strip` and `rewrite`. Other URLs are unchanged. `keep`, the default, changes nothing.',
    example: 'rewrite',
  },
  inherits: 'replaces',
  compile(values, { hosts, isDefaultSite }, outward) {
    const written = values.at(-1)
    const origins = originsOf(written)
    if (origins === null) return {}
    const namesHost = !isDefaultSite && !hosts.some(host => host.startsWith('*.'))
    return { inside: locationStage({ outward, origins: new Set(origins), namesHost }) }
  },
  explain(value) {
    const origins = originsOf(value)
    if (origins === null) return 'unchanged'
    return ['URLs of the backend become those of clients', ...origins].join(', ')
  },
})

/** Null where it is off. */
const originsOf = (written: RawValue<typeof locationKind> | undefined): readonly string[] | null =>
  written === undefined || written.value === 'keep'
    ? null
    : written.as === 'map'
      ? (written.value.origins ?? [])
      : []

const locationStage =
  (terms: Terms): Stage =>
  inner =>
  (exchange, sink) =>
    inner(exchange, new LocationSink(sink, exchange, terms))

const names = fieldNames(['location', 'content-location', 'refresh'])

class LocationSink extends WrappedSink {
  private readonly exchange: StagedExchange
  private readonly terms: Terms

  constructor(sink: Sink, exchange: StagedExchange, terms: Terms) {
    super(sink)
    this.exchange = exchange
    this.terms = terms
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    const { exchange, terms } = this
    // What the gateway says by itself is for clients already.
    if (!exchange.answersItself && exchange.attempts.endpoint !== null)
      head.fields.change(names, (value, name) =>
        name === 'refresh' ? refreshed(value, exchange, terms) : (outside(value, exchange, terms) ?? value),
      )
    this.sink.answer(head, bodyless)
  }
}

/** `5; url=/x`: browsers take the URL with quotes or without, and with or without its `url=`. */
function refreshed(value: string, exchange: StagedExchange, terms: Terms): string {
  const begin = /^[\d.]+ *[;,] *(?:url *= *)?/i.exec(value)?.[0]
  if (begin === undefined) return value
  const quote = /["']/.exec(value[begin.length] ?? '')?.[0] ?? ''
  const from = begin.length + quote.length
  const close = quote === '' ? -1 : value.indexOf(quote, from)
  const to = close < 0 ? value.length : close
  const url = outside(value.slice(from, to), exchange, terms)
  return url === null ? value : value.slice(0, from) + url + value.slice(to)
}
