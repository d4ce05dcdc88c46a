/** Replay nonces (RFC 8555 section 6.5): every answer brings one, each is good for one request and not for long. */
import type { IncomingHttpHeaders } from 'node:http'
import { IssueError } from '../model/issuer.ts'
import { type HttpClient, shownUrl } from './http.ts'
import { problemError } from './problem.ts'

/** More than there are requests under way would only grow old. */
const maxKept = 16

export class Nonces {
  readonly #kept: string[] = []

  /** Takes note of what an answer brings. Section 6.5.1: base64url; anything else is ignored. */
  keep(headers: IncomingHttpHeaders): void {
    const nonce = headers['replay-nonce']
    if (typeof nonce !== 'string' || !/^[A-Za-z0-9_-]{1,512}$/.test(nonce)) return
    if (this.#kept.length === maxKept) this.#kept.shift()
    this.#kept.push(nonce)
  }

  /** Those that we have are likely as stale as the one that was refused. */
  forget(): void {
    this.#kept.length = 0
  }

  async take(http: HttpClient, newNonceUrl: string, signal: AbortSignal): Promise<string> {
    const kept = this.#kept.pop()
    if (kept !== undefined) return kept
    const answer = await http.request({ method: 'HEAD', url: newNonceUrl }, signal)
    if (answer.status >= 300) throw problemError(`HEAD ${shownUrl(newNonceUrl)}`, answer)
    this.keep(answer.headers)
    const nonce = this.#kept.pop()
    if (nonce !== undefined) return nonce
    throw new IssueError('unavailable', `HEAD ${shownUrl(newNonceUrl)}: the answer brings no usable Replay-Nonce`)
  }
}
