/** ClientHellos that ask one question each, for probing what a server accepts. They cannot go on to a handshake. */
import { randomBytes } from 'node:crypto'

export type Question = {
  /** The one version that is offered, as a TLS number */
  readonly version: number
  readonly suites: readonly number[]
  readonly groups: readonly number[]
  readonly serverName: string | null
  /** Protocols to offer; no extension where left out */
  readonly alpn?: readonly string[]
}

const u16 = (value: number): Buffer => Buffer.from([value >>> 8, value & 255])
const list = (values: readonly number[]): Buffer => Buffer.concat(values.map(u16))
const short = (bytes: Uint8Array): Buffer => Buffer.concat([Buffer.of(bytes.length), bytes])
const long = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes])
const extension = (type: number, body: Uint8Array): Buffer => Buffer.concat([u16(type), long(body)])

/** Everything that servers sign with: what a server cannot sign for is not the question. */
const signatures = [0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201]

/** The client's random in what `writeClientHello` has made: behind the headers of record and message, and the version. */
export const randomOf = (hello: Buffer): Buffer => hello.subarray(11, 43)

/** A record with one whole hello. For TLS 1.3 no key share is sent: the server then names the group that it wants. */
export function writeClientHello({ version, suites, groups, serverName, alpn = [] }: Question): Buffer {
  const extensions: Buffer[] = []
  if (serverName !== null) {
    const name = Buffer.concat([Buffer.of(0), long(Buffer.from(serverName, 'latin1'))])
    extensions.push(extension(0, long(name)))
  }
  if (groups.length > 0) extensions.push(extension(10, long(list(groups))), extension(11, short(Buffer.of(0))))
  if (version >= 0x0303) extensions.push(extension(13, long(list(signatures))))
  if (alpn.length > 0)
    extensions.push(extension(16, long(Buffer.concat(alpn.map(name => short(Buffer.from(name, 'latin1')))))))
  if (version === 0x0304) extensions.push(extension(43, short(u16(version))), extension(51, long(Buffer.alloc(0))))
  const body = Buffer.concat([
    u16(Math.min(version, 0x0303)),
    randomBytes(32),
    short(version === 0x0304 ? randomBytes(32) : Buffer.alloc(0)),
    long(list(suites)),
    short(Buffer.of(0)),
    long(Buffer.concat(extensions)),
  ])
  const message = Buffer.concat([Buffer.of(1), Buffer.of(body.length >>> 16), u16(body.length & 0xffff), body])
  return Buffer.concat([Buffer.of(22), u16(Math.min(version, 0x0301)), long(message)])
}
