/**
 * A cleartext listener that only sends clients to https (RFC 9110 section 15.4.9): one 308 a request, then it closes. It
 * answers ACME http-01 challenges as well.
 */
import { messageOf, ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Reply } from '../../model/filter.ts'
import type { LinkHandler } from '../../model/link.ts'
import { HeadBuffer } from '../../wire/head-buffer.ts'
import { type RequestHead, reasonOf } from '../../wire/heads.ts'
import { parseRequestHead } from '../../wire/http1-head.ts'
import { parseTarget } from '../../wire/target.ts'
import { httpChallenge } from '../exchange/http-challenge.ts'
import { refuseRequest } from '../exchange/refuse.ts'
import { replyAnswer } from '../exchange/respond.ts'
import { httpsLocation } from '../exchange/to-https.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'

export function serveRedirect(services: Services, connection: Connection, first: Buffer, closed: () => void): void {
  new Redirecting(services, connection, closed).onData(first)
}

class Redirecting implements LinkHandler, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'requestHead'
  watchIndex = -1
  private readonly services: Services
  private readonly connection: Connection
  private readonly closed: () => void
  private readonly head: HeadBuffer
  private answered = false
  private gone = false

  constructor(services: Services, connection: Connection, closed: () => void) {
    this.services = services
    this.connection = connection
    this.head = new HeadBuffer('request', connection.link.share)
    this.closed = closed
    enter(this, 'requestHead', services)
    services.deadlines.watch(this)
    connection.link.handler = this
  }

  onOpen(): void {}
  onDrain(): void {}

  onData(chunk: Buffer): void {
    if (this.answered) return
    const { limits } = this.services.snapshot
    this.head.append(chunk)
    if (!this.head.ready() && this.head.length <= limits.headBytes) return
    const bytes = this.head.view()
    const parsed = parseRequestHead(bytes, 0, Math.min(bytes.length, limits.headBytes), limits)
    if (parsed !== null && !(parsed instanceof ProxyError)) {
      const challenge = httpChallenge(this.services.challenges, false, parsed)
      if (challenge !== null) {
        this.answered = true
        enter(this, 'challenge', this.services)
        challenge.then(
          reply => this.answerChallenge(reply, parsed),
          error => this.refuse(new ProxyError('INTERNAL', messageOf(error), error)),
        )
        return
      }
    }
    this.act(parsed)
  }

  /** An open challenge is answered; what is none is redirected like anything else. */
  private answerChallenge(reply: Reply | null, parsed: RequestHead): void {
    if (this.gone || this.phase !== 'challenge') return
    if (reply === null) {
      this.act(parsed)
      return
    }
    const { status, reason, text, length, body } = replyAnswer(reply)
    const { link } = this.connection
    link.writeText(
      `HTTP/1.1 ${status} ${reason}\r\n${text}${this.services.date.line}content-length: ${length}\r\nconnection: close\r\n\r\n`,
    )
    if (parsed.method !== 'HEAD') link.write(Buffer.from(body))
    this.over()
  }

  private act(parsed: ReturnType<typeof parseRequestHead>): void {
    const { limits } = this.services.snapshot
    const { length } = this.head
    if (parsed instanceof ProxyError) this.refuse(parsed)
    else if (parsed === null) {
      if (length > limits.headBytes) this.refuse(new ProxyError('HEAD_TOO_LARGE', 'over limits.head'))
    } else {
      const target = parseTarget(parsed.method, parsed.target)
      if (target instanceof ProxyError) this.refuse(target)
      else {
        // As it came: the site that it leads to says in which form its routes take paths.
        const { authority, raw, query } = target
        const location = httpsLocation(authority ?? parsed.host, this.services, raw, query)
        if (location instanceof ProxyError) this.refuse(location)
        else this.redirect(location)
      }
    }
  }

  onEnd(): void {
    this.connection.link.close()
  }

  onClose(): void {
    this.gone = true
    this.services.deadlines.unwatch(this)
    this.closed()
  }

  onDeadline(): void {
    const { headMs, handshakeMs } = this.services.snapshot.timeouts
    if (this.phase === 'requestHead')
      this.refuse(new ProxyError('REQUEST_TIMEOUT', `no whole request head within timeouts.head (${headMs} ms)`))
    else if (this.phase === 'challenge') {
      const why = `storage did not say whether this ACME challenge is open within timeouts.handshake (${handshakeMs} ms)`
      this.refuse(new ProxyError('CHALLENGE_TIMEOUT', why))
    } else this.connection.link.destroy()
  }

  private refuse(error: ProxyError): void {
    if (this.gone || this.phase === 'redirected') return
    refuseRequest(this.services, this.connection, error)
    this.over()
  }

  private redirect(location: string): void {
    this.connection.link.writeText(
      `HTTP/1.1 308 ${reasonOf(308)}\r\nlocation: ${location}\r\n${this.services.date.line}content-length: 0\r\nconnection: close\r\n\r\n`,
    )
    this.over()
  }

  private over(): void {
    this.answered = true
    this.head.release()
    this.connection.link.end()
    enter(this, 'redirected', this.services)
  }
}
