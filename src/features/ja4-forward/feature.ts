/** `ja4.forward`: tells backends the fingerprints of the client's TLS hello. */
import type { Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'

export const ja4Forward = feature({
  docs: 'Tells backends the JA4 and JA3 fingerprints of the client.',
  row: {
    kind: { type: 'boolean' },
    default: false,
    docs: 'Sends the fingerprints to backends as `X-JA4` and `X-JA3`. Fields with these names are always dropped from what clients send.',
    example: 'true',
  },
  inherits: 'replaces',
  needsFingerprint: value => value,
  compile: values => (values.at(-1) === true ? { outside: forwardStage } : {}),
  explain: value => (value ? 'tells backends the fingerprint of the client' : 'off'),
})

/** Among what says who the client is, so that filters see it too. */
const forwardStage: Stage = inner => (exchange, sink) => {
  const { fingerprint } = exchange.connection
  if (fingerprint !== null) exchange.forwardText += `x-ja4: ${fingerprint.ja4}\r\nx-ja3: ${fingerprint.ja3}\r\n`
  return inner(exchange, sink)
}
