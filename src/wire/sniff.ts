/** Which protocol a connection speaks, from its first bytes: for ports that serve more than one, and for clear refusals. */

import { isPostgres } from './start-tls/postgres.ts'

type Sniffed = 'tls' | 'http' | 'postgres' | 'other' | 'incomplete'

/** The longest registered method, UPDATEREDIRECTREF, has 17 characters; private ones are a little longer. */
const maxMethod = 32

const isMethodByte = (c: number): boolean =>
  (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a) || c === 0x2d || c === 0x5f

/**
 * `tls`: a handshake record, whatever is in it. `http`: letters, then a space; the HTTP/2 preface is `http` too.
 * `postgres`: the first packet of one of its clients. `other`: SSL 2.0, SSH, a TLS alert and all the rest. `incomplete`: what is here could become either.
 */
export function sniffProtocol(bytes: Uint8Array): Sniffed {
  if (bytes.length === 0) return 'incomplete'
  if (bytes[0] === 22) {
    if (bytes.length === 1) return 'incomplete'
    return bytes[1] === 3 ? 'tls' : 'other'
  }
  if (bytes[0] === 0) {
    const postgres = isPostgres(bytes)
    return postgres === true ? 'postgres' : postgres === false ? 'other' : 'incomplete'
  }
  const limit = Math.min(bytes.length, maxMethod + 1)
  let at = 0
  while (at < limit && isMethodByte(bytes[at])) at++
  if (at === bytes.length && at <= maxMethod) return 'incomplete'
  return at > 0 && at <= maxMethod && bytes[at] === 0x20 ? 'http' : 'other'
}
