/**
 * HTTP requests to CAs and DNS webhooks, over connections that are kept for a while. A redirect is an error, for a signed
 * request is meant for one URL only; what bounds an answer is base/http-request.ts.
 *
 * Throws IssueError: `unavailable` for the network and for what is too large or too late, `cancelled` by the signal.
 */
import http from 'node:http'
import https from 'node:https'
import { rootCertificates } from 'node:tls'
import { messageOf } from '../base/errors.ts'
import { type HttpAnswer, type PeerCheck, RequestError, request } from '../base/http-request.ts'
import { ownVersion } from '../base/version.ts'
import { IssueError } from '../model/issuer.ts'

type HttpRequest = {
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

type HttpClientOptions = {
  /** CA certificates in PEM, trusted beside those that the runtime trusts; null for those alone */
  readonly ca?: string | null
  readonly check?: PeerCheck
  /** For a whole request, from the look-up of the name to the last byte */
  readonly timeoutMs?: number
  readonly maxBytes?: number
}

const mb = 1024 * 1024

export function httpClient(options: HttpClientOptions = {}): HttpClient {
  const { ca = null, check, timeoutMs = 30_000, maxBytes = mb } = options
  const trust = ca === null ? null : [...rootCertificates, ca]
  // A CA is asked a dozen times in a row; between two issues the connection may go.
  const kept = { keepAlive: true, maxSockets: 8, maxFreeSockets: 2, timeout: 15_000 }
  const plain = new http.Agent(kept)
  const secure = new https.Agent(trust === null ? kept : { ...kept, ca: trust })
  return {
    async request({ method, url, headers, body = null }, signal) {
      const what = `${method} ${shownUrl(url)}`
      try {
        return await request(url, {
          method,
          // RFC 8555 section 6.1: a CA can tell its clients apart.
          headers: { 'user-agent': `sallyport/${ownVersion}`, accept: '*/*', ...headers },
          body,
          agent: url.startsWith('https:') ? secure : plain,
          ca: trust,
          check,
          timeoutMs,
          maxBytes,
          signal,
        })
      } catch (error) {
        const kind = error instanceof RequestError && error.cancelled ? 'cancelled' : 'unavailable'
        throw new IssueError(kind, `${what}: ${messageOf(error)}`, { cause: error })
      }
    },
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
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
