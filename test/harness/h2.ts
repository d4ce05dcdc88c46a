/**
 * HTTP/2 peers that do as they are told, in either role: frames by hand, none sent that the test did not ask for, but
 * acknowledgements and windows where `polite`. Heads are written as plain literals, so that nothing of the encoder
 * under test is in them.
 */
import net from 'node:net'
import tls from 'node:tls'
import { HpackDecoder } from '../../src/wire/hpack-decoder.ts'
import type { HpackField } from '../../src/wire/hpack-field.ts'
import { closeAll, itemAt, rawTcp, rawTls } from './raw.ts'
import { noticed } from './until.ts'

export const type = {
  data: 0,
  headers: 1,
  priority: 2,
  rst: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const

export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4
export const PADDED = 8
export const PRIORITY = 0x20

export type Pairs = readonly (readonly [string, string])[]

export type Frame = {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
  /** Of HEADERS that are whole */
  readonly fields?: Pairs
}

export type Message = {
  status: number
  headers: Pairs
  body: string
  trailers: Pairs | null
  /** Code of RST_STREAM, or null */
  reset: number | null
  ended: boolean
  informational: number[]
}

export const prefaceText = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export function frameBytes(kind: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const content = Buffer.from(payload as string, 'latin1')
  const bytes = Buffer.alloc(9 + content.length)
  bytes.writeUIntBE(content.length, 0, 3)
  bytes[3] = kind
  bytes[4] = flags
  bytes.writeUInt32BE(stream, 5)
  content.copy(bytes, 9)
  return bytes
}

/** A header block of literals without indexing. */
export function block(pairs: Pairs): Buffer {
  const string = (text: string) => {
    const bytes = Buffer.from(text, 'latin1')
    if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes])
    let rest = bytes.length - 127
    const length = [127]
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128)
    return Buffer.concat([Buffer.from([...length, rest]), bytes])
  }
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.of(0), string(name), string(value)]))
}

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export const settingsBytes = (pairs: readonly (readonly [number, number])[]): Buffer =>
  Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.of(id >> 8, id & 255), uint32(value)])))

/** The head of a GET, with what is given in place or in addition. */
export const get = (path = '/', more: Pairs = []): Pairs => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', path],
  [':authority', 'localhost'],
  ...more,
]

export const post = (path = '/', more: Pairs = []): Pairs => [[':method', 'POST'], ...get(path, more).slice(1)]

export class RawH2 {
  readonly socket: net.Socket
  readonly frames: Frame[] = []
  closedWith: { error: Error | null } | null = null
  private held: Buffer = Buffer.alloc(0)
  private readonly decoder = new HpackDecoder(65_536)
  private readonly waiting = new Set<() => void>()
  private readonly polite: boolean
  private prefaceLeft: number
  private opened = -1
  private part: { stream: number; flags: number; bytes: Buffer } | null = null
  onFrame: (frame: Frame) => void = () => {}

  /** @param role 'server' expects the preface first */
  constructor(socket: net.Socket, role: 'client' | 'server', polite: boolean) {
    this.socket = socket
    this.polite = polite
    this.prefaceLeft = role === 'server' ? prefaceText.length : 0
    let error: Error | null = null
    socket.on('data', (chunk: Buffer) => this.read(chunk))
    socket.on('error', thrown => {
      error = thrown
    })
    socket.on('close', () => {
      this.closedWith = { error }
      this.look()
    })
  }

  send(...parts: (Buffer | string)[]): void {
    this.socket.write(Buffer.concat(parts.map(part => Buffer.from(part as string, 'latin1'))))
  }

  frame(kind: number, flags: number, stream: number, payload: Buffer | string = ''): void {
    this.send(frameBytes(kind, flags, stream, payload))
  }

  /** One HEADERS frame, or as many frames as the block needs. */
  headers(stream: number, pairs: Pairs, flags = END_HEADERS | END_STREAM): void {
    const whole = block(pairs)
    if (whole.length <= 16_384) {
      this.frame(type.headers, flags, stream, whole)
      return
    }
    this.frame(type.headers, flags & ~END_HEADERS, stream, whole.subarray(0, 16_384))
    for (let at = 16_384; at < whole.length; at += 16_384) {
      const last = at + 16_384 >= whole.length
      this.frame(type.continuation, last ? END_HEADERS : 0, stream, whole.subarray(at, at + 16_384))
    }
  }

  data(stream: number, text: Buffer | string, flags = 0): void {
    this.frame(type.data, flags, stream, text)
  }

  /** Opens the next stream of a client, and answers its number. */
  request(pairs: Pairs, flags = END_HEADERS | END_STREAM): number {
    this.opened += 2
    this.headers(this.opened, pairs, flags)
    return this.opened
  }

  /** What has come for a stream so far. */
  message(stream: number): Message {
    const message: Message = {
      status: 0,
      headers: [],
      body: '',
      trailers: null,
      reset: null,
      ended: false,
      informational: [],
    }
    for (const frame of this.frames) {
      if (frame.stream !== stream) continue
      if (frame.type === type.headers && frame.fields !== undefined) {
        const status = Number(frame.fields.find(([name]) => name === ':status')?.[1] ?? 0)
        if (status >= 100 && status < 200) message.informational.push(status)
        else if (message.status === 0) {
          message.status = status
          message.headers = frame.fields
        } else message.trailers = frame.fields
      }
      if (frame.type === type.data) message.body += frame.payload.toString('latin1')
      if (frame.type === type.rst) message.reset = frame.payload.readUInt32BE()
      if ((frame.type === type.data || frame.type === type.headers) && (frame.flags & END_STREAM) !== 0)
        message.ended = true
    }
    return message
  }

  /** The whole answer on a stream; also one that was reset. */
  async answer(stream: number): Promise<Message> {
    await this.until(() => {
      const { ended, reset } = this.message(stream)
      return ended || reset !== null
    }, `an answer on stream ${stream}`)
    return this.message(stream)
  }

  async ask(pairs: Pairs): Promise<Message> {
    return this.answer(this.request(pairs))
  }

  /** Resolves when `wanted` holds; rejects when the connection closes before. */
  until(wanted: () => boolean, what = 'what was waited for'): Promise<void> {
    const look = () => {
      if (wanted()) return true
      if (this.closedWith === null) return undefined
      throw new Error(`closed (${this.closedWith.error?.message ?? 'no error'}) before ${what}: ${this.said()}`)
    }
    const held = noticed(() => `${what} (${wanted}), but ${this.said()}`, this.waiting, look).then(() => {})
    held.catch(() => {})
    return held
  }

  /** The code of the GOAWAY that came before the connection was closed, or null. */
  async closed(): Promise<number | null> {
    await this.until(() => this.closedWith !== null)
    return this.goaway
  }

  get goaway(): number | null {
    const frame = this.frames.filter(each => each.type === type.goaway).at(-1)
    return frame === undefined ? null : frame.payload.readUInt32BE(4)
  }

  count(kind: number, flags = 0): number {
    return this.frames.filter(frame => frame.type === kind && (frame.flags & flags) === flags).length
  }

  /** A round trip: everything sent before has been dealt with. */
  async ping(text = 'pingpong'): Promise<void> {
    const before = this.count(type.ping, ACK)
    this.frame(type.ping, 0, 0, text)
    await this.until(() => this.count(type.ping, ACK) > before, 'an acknowledged PING')
  }

  destroy(): void {
    this.socket.destroy()
  }

  private said(): string {
    return this.frames.map(({ type, flags, stream }) => `${type}/${flags}@${stream}`).join(' ')
  }

  private look(): void {
    for (const each of [...this.waiting]) each()
  }

  private read(chunk: Buffer): void {
    this.held = Buffer.concat([this.held, chunk])
    if (this.prefaceLeft > 0) {
      if (this.held.length < this.prefaceLeft) return
      this.held = this.held.subarray(this.prefaceLeft)
      this.prefaceLeft = 0
    }
    while (this.held.length >= 9) {
      const length = this.held.readUIntBE(0, 3)
      if (this.held.length < 9 + length) break
      this.take({
        type: this.held[3] as number,
        flags: this.held[4] as number,
        stream: this.held.readUInt32BE(5),
        payload: Buffer.from(this.held.subarray(9, 9 + length)),
      })
      this.held = this.held.subarray(9 + length)
    }
    this.look()
  }

  private take(frame: Frame): void {
    let whole = frame
    if (frame.type === type.headers || frame.type === type.continuation) {
      const part = this.part ?? { stream: frame.stream, flags: frame.flags, bytes: Buffer.alloc(0) }
      part.bytes = Buffer.concat([part.bytes, frame.payload])
      this.part = part
      if ((frame.flags & END_HEADERS) === 0) return
      this.part = null
      const skip = (part.flags & PRIORITY) !== 0 ? 5 : 0
      const fields: [string, string][] = []
      const problem = this.decoder.decode(part.bytes, skip, part.bytes.length, {
        onField: (field: HpackField) => void fields.push([field.name, field.value]),
      })
      if (problem !== null) throw new Error(`the peer's HPACK: ${problem}`)
      whole = { ...frame, type: type.headers, flags: part.flags | END_HEADERS, fields }
    }
    this.frames.push(whole)
    if (this.polite) {
      if (frame.type === type.settings && (frame.flags & ACK) === 0) this.frame(type.settings, ACK, 0)
      if (frame.type === type.ping && (frame.flags & ACK) === 0) this.frame(type.ping, ACK, 0, frame.payload)
      if (frame.type === type.data && frame.payload.length > 0) {
        this.frame(type.window, 0, 0, uint32(frame.payload.length))
        if ((frame.flags & END_STREAM) === 0) this.frame(type.window, 0, frame.stream, uint32(frame.payload.length))
      }
    }
    this.onFrame(whole)
  }
}

export type H2Options = tls.ConnectionOptions & {
  /** Cleartext, by prior knowledge */
  readonly plain?: boolean
  /** Acknowledges SETTINGS and PING, and opens windows for DATA; as a rule */
  readonly polite?: boolean
  readonly settings?: readonly (readonly [number, number])[]
}

/** A client with the preface and its SETTINGS sent, and the gateway's SETTINGS received. */
export async function h2Client(port: number, options: H2Options = {}): Promise<RawH2> {
  const { plain = false, polite = true, settings = [], ...rest } = options
  const raw = plain ? await rawTcp(port) : await rawTls(port, { ALPNProtocols: ['h2'], ...rest })
  raw.socket.removeAllListeners('data')
  const client = new RawH2(raw.socket, 'client', polite)
  client.send(prefaceText, frameBytes(type.settings, 0, 0, settingsBytes(settings)))
  await client.until(() => client.count(type.settings) >= 2, 'SETTINGS and their acknowledgement')
  return client
}

export type H2Request = {
  readonly connection: RawH2
  readonly index: number
  readonly stream: number
  readonly fields: Pairs
  field(name: string): string | undefined
}

export type H2Backend = {
  readonly port: number
  readonly connections: readonly RawH2[]
  readonly requests: readonly H2Request[]
  /** Resolves with the request of that index once its head is there */
  request(index: number): Promise<H2Request>
  close(): Promise<void>
}

export type H2BackendOptions = {
  readonly settings?: readonly (readonly [number, number])[]
  readonly tls?: tls.TlsOptions
  readonly polite?: boolean
  /** Called with each head */
  onRequest?(request: H2Request): void
}

/** A backend that speaks HTTP/2 and records what it was asked. */
export async function h2Backend(options: H2BackendOptions = {}): Promise<H2Backend> {
  const connections: RawH2[] = []
  const requests: H2Request[] = []
  const waiting = new Set<() => void>()
  const accept = (socket: net.Socket) => {
    const connection = new RawH2(socket, 'server', options.polite ?? true)
    const index = connections.push(connection) - 1
    connection.frame(type.settings, 0, 0, settingsBytes(options.settings ?? []))
    connection.onFrame = frame => {
      if (frame.type !== type.headers || !frame.fields?.some(([name]) => name === ':method')) return
      const { fields } = frame
      const request: H2Request = {
        connection,
        index,
        stream: frame.stream,
        fields,
        field: name => fields.find(([each]) => each === name)?.[1],
      }
      requests.push(request)
      options.onRequest?.(request)
      for (const each of [...waiting]) each()
    }
  }
  const server = options.tls
    ? tls.createServer({ ALPNProtocols: ['h2'], ...options.tls }, accept)
    : net.createServer({ noDelay: true }, accept)
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    connections,
    requests,
    request: index => itemAt(requests, index, waiting),
    close: () => closeAll(server, connections),
  }
}

/** A 200 with this body, on a backend's connection. */
export function respond({ connection, stream }: H2Request, body: string, more: Pairs = []): void {
  connection.headers(stream, [[':status', '200'], ...more], END_HEADERS)
  for (let at = 0; at === 0 || at < body.length; at += 16_384)
    connection.data(stream, body.slice(at, at + 16_384), at + 16_384 >= body.length ? END_STREAM : 0)
}
