/** `via: false`: requests go to the backend without the gateway's own Via (RFC 9110 section 7.6.3). */
import type { Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'

export const via = feature({
  docs: 'Whether backends get a `Via` from the gateway.',
  row: {
    kind: { type: 'boolean' },
    defaultDocs: '`true`, or what the level above says',
    docs:
      'Adds `Via: 1.1 sallyport` to requests for backends (RFC 9110). `false` leaves it out: some backends answer differently when they see ' +
      'one (nginx, for example, no longer compresses). Responses never get one.',
    example: 'false',
  },
  inherits: 'replaces',
  compile: values => (values.at(-1) === false ? { outside: withoutVia } : {}),
  explain: value => (value ? 'the gateway adds its own' : 'the gateway adds none'),
})

const begin = '\r\nvia: '

/** Among the gateway's own fields there is exactly one; those of proxies in front are fields of the request and stay. */
const withoutVia: Stage = inner => (exchange, sink) => {
  const { forwardText } = exchange
  const at = forwardText.indexOf(begin)
  if (at >= 0)
    exchange.forwardText =
      forwardText.slice(0, at) + forwardText.slice(forwardText.indexOf('\r\n', at + begin.length))
  return inner(exchange, sink)
}
