/**
 * One HTTP request to somebody who is not trusted with more than an answer: a CA, Vault, a webhook. Over node:http, since
 * both runtimes take a CA of the caller's own there. Redirects are not followed.
 *
 * Invariants: one deadline from the look-up of the name to the last byte, one limit for the answer; nothing is left open
 * behind a failure.
 */
import http from 'node:http'
import https from 'node:https'
import type tls from 'node:tls'
import { messageOf } from './errors.ts'
import { formatDuration, formatSize } from './units.ts'

export type HttpAnswer = {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** Empty where only the status was asked for */
  readonly body: Buffer
}

/** Looks at the certificate that a server has shown, once its chain has verified. @returns why it will not do */
export type PeerCheck = (host: string, certificate: tls.PeerCertificate) => Error | undefined

/** Which servers are believed. */
export type ServerTrust = {
  /** PEM, in place of the CAs that the runtime trusts; null for those */
  readonly ca: string | null
  /** In place of the runtime's own look at the name; undefined for that */
  readonly check?: PeerCheck
}

type HttpTerms = {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | null
  /** Of the URL's scheme; null: a connection for this request alone */
  readonly agent: http.Agent | null
  /** In place of the CAs that the runtime trusts; null for those */
  readonly ca: string | readonly string[] | null
  readonly check?: PeerCheck
  readonly timeoutMs: number
  /** Of the answer; 0: it is not read, the status is all */
  readonly maxBytes: number
  /** Null: nobody will cancel it */
  readonly signal: AbortSignal | null
}

/** What went wrong, without saying where. */
export class RequestError extends Error {
  /** By the signal */
  readonly cancelled: boolean

  constructor(message: string, cancelled: boolean, cause?: unknown) {
    super(message, { cause })
    this.name = 'RequestError'
    this.cancelled = cancelled
  }
}

const maxHeadBytes = 32 * 1024

/** Throws RequestError where there is no whole answer; a status of any kind is one. */
export function request(url: string, terms: HttpTerms): Promise<HttpAnswer> {
  const { method, headers, agent, ca, check, timeoutMs, maxBytes, signal } = terms
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled())
    const to = new URL(url)
    const isSecure = to.protocol === 'https:'
    const body = terms.body === null ? null : Buffer.from(terms.body)
    let settled = false
    const settle = (act: () => void) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    const fail = (error: RequestError) =>
      settle(() => {
        sent.destroy()
        reject(error)
      })
    const onAbort = () => fail(cancelled())
    const timer = setTimeout(
      () => fail(new RequestError(`no whole answer within ${formatDuration(timeoutMs)}`, false)),
      timeoutMs,
    )
    const sent = (isSecure ? https : http).request(to, {
      method,
      agent: agent ?? false,
      maxHeaderSize: maxHeadBytes,
      headers: { ...headers, ...(body === null ? {} : { 'content-length': String(body.length) }) },
      ...(isSecure && ca !== null ? { ca: typeof ca === 'string' ? ca : [...ca] } : {}),
      ...(isSecure && check !== undefined ? { checkServerIdentity: check } : {}),
    })
    sent.on('error', error => fail(networkError(error)))
    sent.on('response', answer => {
      const { statusCode: status = 0, headers } = answer
      answer.on('error', error => fail(networkError(error)))
      if (maxBytes === 0) {
        return settle(() => {
          // The rest is nobody's concern, however long it is.
          sent.destroy()
          resolve({ status, headers, body: Buffer.alloc(0) })
        })
      }
      const chunks: Buffer[] = []
      let size = 0
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxBytes) fail(new RequestError(`the answer is larger than ${formatSize(maxBytes)}`, false))
        else chunks.push(chunk)
      })
      answer.on('aborted', () => fail(new RequestError('the answer was cut off', false)))
      answer.on('end', () => settle(() => resolve({ status, headers, body: Buffer.concat(chunks) })))
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    sent.end(body ?? undefined)
  })
}

const cancelled = () => new RequestError('cancelled', true)

const untrusted = /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_UNTRUSTED|UNKNOWN_CA/

function networkError(error: Error): RequestError {
  const { code = '' } = error as NodeJS.ErrnoException
  const hint = untrusted.test(code)
    ? '; its certificate is from a CA that is not trusted here: give that CA as ca'
    : ''
  // Some runtimes name a refused connection by its code alone.
  const message = messageOf(error)
  const text = message.includes(code) ? message : `${code} ${message}`.trim()
  return new RequestError(`${text || 'the connection failed'}${hint}`, false, error)
}
