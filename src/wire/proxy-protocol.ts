/**
 * Reads the PROXY protocol header at the start of a connection, whichever version. Only for trusted peers, and
 * strictly: what is not exactly a header is malformed, and nothing is guessed.
 */
import { defaultMaxProxyBytes, type ProxyPeek } from './proxy-header.ts'
import { parseProxyV1 } from './proxy-protocol-v1.ts'
import { parseProxyV2 } from './proxy-protocol-v2.ts'

const v1Start = Buffer.from('PROXY ', 'latin1')
const v2Start = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const incomplete: ProxyPeek = { kind: 'incomplete' }

/** Cheap enough to call again for each new chunk. */
export function parseProxyHeader(bytes: Uint8Array, maxBytes: number = defaultMaxProxyBytes): ProxyPeek {
  if (bytes.length === 0) return incomplete
  const start = bytes[0] === v1Start[0] ? v1Start : v2Start
  for (let i = 0; i < start.length; i++) {
    if (i === bytes.length) return incomplete
    if (bytes[i] !== start[i]) return { kind: 'malformed', why: 'no PROXY header' }
  }
  return start === v1Start ? parseProxyV1(bytes) : parseProxyV2(bytes, maxBytes)
}
