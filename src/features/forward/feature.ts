/** `forward`: the fields by which backends are told who the client is. */
import type { Stage } from '../../model/stage.ts'
import { dropForwarded } from '../../proxy/exchange/filter-fields.ts'
import { toldAddress } from '../../proxy/seam/forward.ts'
import { fieldNames } from '../../wire/fields.ts'
import { feature } from '../feature.ts'

/** Those of every request; a new one that the gateway always writes belongs here. */
const always = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded',
] as const

export const forward = feature({
  docs: 'Which fields tell backends who the client is.',
  row: {
    kind: { type: 'list', of: { type: 'choice', of: [...always, 'x-real-ip'] }, single: true, empty: true },
    defaultDocs:
      '`[x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, forwarded]`, or what the level above says',
    docs:
      'The fields by which backends are told the address, scheme, host and port of the client. What clients send under these names is ' +
      'always dropped.',
    example: '[x-real-ip, x-forwarded-for, x-forwarded-proto]',
  },
  inherits: 'replaces',
  compile: values => ({ outside: forwardStage(values.at(-1) ?? []) }),
  explain: names => (names.length === 0 ? 'nothing about the client' : names.join(', ')),
})

function forwardStage(names: readonly (string | undefined)[]): Stage {
  const gone = fieldNames(always.filter(name => !names.includes(name)))
  const realIp = names.includes('x-real-ip')
  return inner => (exchange, sink) => {
    if (gone.names.length > 0) dropForwarded(exchange, gone)
    if (realIp) {
      // A listener may let it through from clients (`fields.allow`).
      exchange.head.fields.delete('x-real-ip')
      exchange.forwardText += `x-real-ip: ${toldAddress(exchange.client.clientAddress)}\r\n`
    }
    return inner(exchange, sink)
  }
}
