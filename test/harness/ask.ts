/** One request, told once and asked over either version of HTTP: for tables of cases that hold for both. */
import type tls from 'node:tls'
import { END_HEADERS, END_STREAM, h2Client, type Pairs } from './h2.ts'
import { rawTcp, rawTls } from './raw.ts'

export type Version = 'HTTP/1.1' | 'HTTP/2'
export const versions: readonly Version[] = ['HTTP/1.1', 'HTTP/2']

export type Ask = {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  /** SNI, when it is not the host */
  readonly serverName?: string
  readonly fields?: Pairs
  /** Sent with its length; in pieces, without one */
  readonly body?: string | readonly string[]
  /** The last piece is not sent, and the request is left open */
  readonly unfinished?: boolean
  readonly trailers?: Pairs
  /** The client's own certificate, versions and the like */
  readonly tls?: tls.ConnectionOptions
  /** Over the cleartext listener */
  readonly plain?: boolean
}

export type Answered = {
  readonly status: number
  /** Names in lower case */
  readonly fields: Pairs
  readonly body: string
  readonly trailers: Pairs
  readonly informational: readonly number[]
  field(name: string): string | null
  /** It ended as its framing says, not by being cut off */
  readonly whole: boolean
}

/** @param port TLS, or cleartext where `plain` says so */
export function ask(version: Version, port: number, request: Ask): Promise<Answered> {
  return version === 'HTTP/2' ? askHttp2(port, request) : askHttp1(port, request)
}

const answered = (parts: Omit<Answered, 'field'>): Answered => ({
  ...parts,
  field: name => parts.fields.find(([each]) => each === name)?.[1] ?? null,
})

async function askHttp2(port: number, request: Ask): Promise<Answered> {
  const { method = 'GET', path = '/', host = 'localhost', fields = [], body, trailers, unfinished } = request
  const client = await h2Client(port, {
    ...request.tls,
    plain: request.plain,
    servername: request.serverName ?? host,
  })
  const pieces = body === undefined ? [] : typeof body === 'string' ? [body] : body
  const ends = pieces.length === 0 && trailers === undefined && unfinished !== true
  const length: Pairs = typeof body === 'string' ? [['content-length', `${body.length}`]] : []
  const head: Pairs = [
    [':method', method],
    [':scheme', request.plain ? 'http' : 'https'],
    [':path', path],
    [':authority', host],
    ...length,
    ...fields,
  ]
  const stream = client.request(head, ends ? END_HEADERS | END_STREAM : END_HEADERS)
  const sent = unfinished ? pieces.slice(0, -1) : pieces
  for (const [at, piece] of sent.entries()) {
    const last = at === pieces.length - 1 && trailers === undefined
    client.data(stream, piece, last ? END_STREAM : 0)
  }
  if (trailers !== undefined) client.headers(stream, trailers)
  const message = await client.answer(stream).catch(() => client.message(stream))
  client.destroy()
  return answered({
    status: message.status,
    fields: message.headers.filter(([name]) => !name.startsWith(':')),
    body: message.body,
    trailers: message.trailers ?? [],
    informational: message.informational,
    whole: message.ended,
  })
}

async function askHttp1(port: number, request: Ask): Promise<Answered> {
  const { method = 'GET', path = '/', host = 'localhost', fields = [], body, trailers, unfinished } = request
  const client = request.plain
    ? await rawTcp(port)
    : await rawTls(port, { ...request.tls, servername: request.serverName ?? host, ALPNProtocols: ['http/1.1'] })
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const chunked = Array.isArray(body) || trailers !== undefined
  const framing = chunked
    ? 'Transfer-Encoding: chunked\r\n'
    : typeof body === 'string'
      ? `Content-Length: ${body.length}\r\n`
      : ''
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}${framing}\r\n`
  if (chunked) {
    const pieces = (body ?? []) as readonly string[]
    const sent = unfinished ? pieces.slice(0, -1) : pieces
    text += sent.map(piece => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')
    if (!unfinished) text += `0\r\n${(trailers ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  } else if (typeof body === 'string') text += body
  client.send(text)
  let read: Answered | null = null
  await client
    .until(received => {
      read = readAnswer(received, method)
      return read?.whole === true
    })
    .catch(() => {})
  read ??= readAnswer(client.received(), method)
  client.destroy()
  return read ?? answered({ status: 0, fields: [], body: '', trailers: [], informational: [], whole: false })
}

/** The final answer in what was received, whole or not; null while its head is not there. */
function readAnswer(received: string, method: string): Answered | null {
  let rest = received
  const informational: number[] = []
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return null
    const [line, ...lines] = rest.slice(0, end).split('\r\n') as [string, ...string[]]
    const status = Number(line.slice(9, 12))
    rest = rest.slice(end + 4)
    if (status < 200 && status !== 101) {
      informational.push(status)
      continue
    }
    const fields = pairsOf(lines)
    const get = (name: string) => fields.find(([each]) => each === name)?.[1]
    const base = { status, fields, informational }
    if (method === 'HEAD' || status === 204 || status === 304)
      return answered({ ...base, body: rest, trailers: [], whole: true })
    if (get('transfer-encoding') === 'chunked') return answered({ ...base, ...readChunks(rest) })
    const length = Number(get('content-length') ?? Number.POSITIVE_INFINITY)
    return answered({ ...base, body: rest.slice(0, length), trailers: [], whole: rest.length >= length })
  }
}

/** What a body in chunks is, as far as it has come. */
export function readChunks(text: string): { body: string; trailers: Pairs; whole: boolean } {
  let body = ''
  let at = 0
  for (;;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return { body, trailers: [], whole: false }
    const size = Number.parseInt(text.slice(at, line), 16)
    at = line + 2
    if (size === 0) {
      const end = text.indexOf('\r\n\r\n', line)
      if (end < 0) return { body, trailers: [], whole: false }
      return { body, trailers: pairsOf(text.slice(at, end).split('\r\n')), whole: true }
    }
    body += text.slice(at, at + size)
    at += size + 2
  }
}

const pairsOf = (lines: readonly string[]): Pairs =>
  lines
    .filter(line => line !== '')
    .map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    })
