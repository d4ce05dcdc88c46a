/**
 * HTTP requests to CAs and webhooks. The other end is not trusted with more than its answer: the whole request has one
 * deadline, the answer one limit, and a redirect is an error, for a signed request is meant for one URL only.
 *
 * Throws IssueError: `unavailable` for the network and for what is too large or too late, `cancelled` by the signal.
 */
import http from 'node:http'
import https from 'node:https'
import { rootCertificates } from 'node:tls'
import { messageOf } from '../base/errors.ts'
import { formatDuration, formatSize } from '../base/units.ts'
import { ownVersion } from '../base/version.ts'
import { IssueError } from '../model/issuer.ts'

export type HttpAnswer = {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

export type HttpRequest = {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface HttpClient {
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>
  /** Closes idle connections */
  close(): void
}

export type HttpClientOptions = {
  /** CA certificates in PEM, trusted beside those that the runtime trusts; null for those alone */
  readonly ca?: string | null
  /** For a whole request, from the look-up of the name to the last byte */
  readonly timeoutMs?: number
  readonly maxBytes?: number
}

const mb = 1024 * 1024

export function httpClient(options: HttpClientOptions = {}): HttpClient {
  const { ca = null, timeoutMs = 30_000, maxBytes = mb } = options
  const trust = ca === null ? {} : { ca: [...rootCertificates, ca] }
  // A CA is asked a dozen times in a row; between two issues the connection may go.
  const kept = { keepAlive: true, maxSockets: 8, maxFreeSockets: 2, timeout: 15_000 }
  const plain = new http.Agent(kept)
  const secure = new https.Agent({ ...kept, ...trust })
  return {
    request(request, signal) {
      return new Promise((resolve, reject) => {
        const what = `${request.method} ${shownUrl(request.url)}`
        if (signal.aborted) return reject(cancelled(what))
        const url = new URL(request.url)
        const isSecure = url.protocol === 'https:'
        const body = request.body === undefined ? null : Buffer.from(request.body)
        let settled = false
        const settle = (act: () => void) => {
          if (settled) return
          settled = true
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          act()
        }
        const fail = (error: IssueError) =>
          settle(() => {
            sent.destroy()
            reject(error)
          })
        const onAbort = () => fail(cancelled(what))
        const timer = setTimeout(
          () => fail(new IssueError('unavailable', `${what}: no whole answer within ${formatDuration(timeoutMs)}`)),
          timeoutMs,
        )
        const sent = (isSecure ? https : http).request(url, {
          method: request.method,
          agent: isSecure ? secure : plain,
          maxHeaderSize: 32 * 1024,
          headers: {
            // RFC 8555 section 6.1: a CA can tell its clients apart.
            'user-agent': `sallyport/${ownVersion}`,
            accept: '*/*',
            ...request.headers,
            ...(body === null ? {} : { 'content-length': String(body.length) }),
          },
          ...(isSecure ? trust : {}),
        })
        sent.on('error', error => fail(networkError(what, error)))
        sent.on('response', answer => {
          const chunks: Buffer[] = []
          let size = 0
          answer.on('data', (chunk: Buffer) => {
            size += chunk.length
            if (size > maxBytes) {
              fail(new IssueError('unavailable', `${what}: the answer is larger than ${formatSize(maxBytes)}`))
            } else chunks.push(chunk)
          })
          answer.on('error', error => fail(networkError(what, error)))
          answer.on('aborted', () => fail(new IssueError('unavailable', `${what}: the answer was cut off`)))
          answer.on('end', () =>
            settle(() => {
              const { statusCode: status = 0, headers } = answer
              resolve({ status, headers, body: Buffer.concat(chunks) })
            }),
          )
        })
        signal.addEventListener('abort', onAbort, { once: true })
        sent.end(body ?? undefined)
      })
    },
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

const cancelled = (what: string) => new IssueError('cancelled', `${what}: cancelled`)

const untrusted = /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_UNTRUSTED|UNKNOWN_CA/

function networkError(what: string, error: Error): IssueError {
  const { code = '' } = error as NodeJS.ErrnoException
  const hint = untrusted.test(code)
    ? '; its certificate is from a CA that is not trusted here: give that CA as ca'
    : ''
  // Some runtimes name a refused connection by its code alone.
  const message = messageOf(error)
  const text = message.includes(code) ? message : `${code} ${message}`.trim()
  return new IssueError('unavailable', `${what}: ${text || 'the connection failed'}${hint}`, { cause: error })
}

/** Queries and user names may hold secrets. */
export function shownUrl(text: string): string {
  const url = URL.parse(text)
  return url === null ? 'a URL' : `${url.origin}${url.pathname}`
}

/** `https:`, or `http:` to this machine itself: what is sent must be read by nobody on the way, and reach who is meant. */
export function isSafeUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return false
  const { hostname } = url
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127\.[0-9.]+$/.test(hostname)
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)
}
