/** `accessLog: false`: requests have no line in the access log. */
import type { Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'

export const accessLog = feature({
  docs: 'Whether requests have a line in the access log.',
  row: {
    kind: { type: 'boolean' },
    defaultDocs: '`true`, or what the level above says',
    docs:
      'Whether requests are written to the access log, if there is one (`log.access`). `false` is for health checks and the like. Requests ' +
      'are counted in the metrics in any case.',
    example: 'false',
  },
  inherits: 'replaces',
  compile: values => (values.at(-1) === false ? { outside: unlogged } : {}),
  explain: value => (value ? 'requests are logged' : 'requests are not logged'),
})

const unlogged: Stage = inner => (exchange, sink) => {
  exchange.unlogged = true
  return inner(exchange, sink)
}
