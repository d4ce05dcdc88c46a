/**
 * What a backend says before its client is heard. The greeting of a mail server whose client has changed to TLS with us: it has been greeted by us, and is not again after STARTTLS
 * (RFC 3207 section 4.2, RFC 9051 section 6.2.1, RFC 2595 section 4). So the backend's is read here and not passed on, and nothing is
 * sent before it. One that refuses the connection is passed on, as the answer to the client's next command. Of a PostgreSQL server
 * whose TLS is passed through, it is the answer to our SSLRequest, as the client's had one from us.
 */
import { ProxyError } from '../../base/errors.ts'
import { Gathered } from '../../base/gathered.ts'
import type { Link, LinkHandler } from '../../model/link.ts'
import {
  type Greeting,
  type GreetingProtocol,
  maxGreetingBytes,
  readGreeting,
} from '../../wire/start-tls/backend-greeting.ts'
import { sslRequest } from '../../wire/start-tls/postgres.ts'
import { type ConnectionPhase, enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'

export interface GreetingUser {
  /** The backend waits for the client's first command. */
  greeted(): void
  /** @param words of the backend for the client; empty where there are none. The link is closed. */
  notGreeted(error: ProxyError, words: Buffer): void
}

const nothing = Buffer.alloc(0)

export class BackendGreeting implements LinkHandler, Waiting {
  deadlineAt = Number.POSITIVE_INFINITY
  phase: ConnectionPhase = 'greeting'
  watchIndex = -1
  private readonly services: Services
  private readonly protocol: GreetingProtocol
  private readonly backend: Link
  private readonly user: GreetingUser
  private readonly held: Gathered
  private over = false

  constructor(
    services: Services,
    protocol: GreetingProtocol,
    backend: Link,
    greetingMs: number,
    user: GreetingUser,
  ) {
    this.services = services
    this.protocol = protocol
    this.backend = backend
    this.user = user
    this.held = new Gathered(backend.share)
    backend.handler = this
    enter(this, 'greeting', services, greetingMs)
    services.deadlines.watch(this)
    if (protocol === 'postgres') backend.write(sslRequest)
  }

  onOpen(): void {}
  onDrain(): void {}

  onData(chunk: Buffer): void {
    if (this.over) return
    this.held.append(chunk)
    // A look at all of it for each line, and not for each piece.
    if (this.protocol !== 'postgres' && !chunk.includes(0x0a) && this.held.length <= maxGreetingBytes) return
    const greeting = readGreeting(this.protocol, this.held.view())
    if (greeting.kind === 'incomplete') return
    if (greeting.kind === 'ready') {
      this.end()
      this.user.greeted()
    } else this.fail(new ProxyError('BAD_GREETING', greeting.why), wordsOf(greeting))
  }

  onEnd(): void {
    this.fail(new ProxyError('BAD_GREETING', `the backend closed without a greeting of ${this.protocol}`), nothing)
  }

  onClose(error: ProxyError | null): void {
    const why = `the backend cut the connection before its greeting: ${error?.message ?? 'closed'}`
    this.fail(new ProxyError('BAD_GREETING', why, error ?? undefined), nothing)
  }

  onDeadline(): void {
    const why = `no greeting of ${this.protocol} from the backend within timeouts.response`
    this.fail(new ProxyError('RESPONSE_TIMEOUT', why), nothing)
  }

  /** The client has gone. */
  cancel(): void {
    if (this.over) return
    this.end()
    this.backend.destroy()
  }

  private fail(error: ProxyError, words: Buffer): void {
    if (this.over) return
    this.end()
    this.backend.destroy()
    this.user.notGreeted(error, words)
  }

  private end(): void {
    this.over = true
    this.services.deadlines.unwatch(this)
    this.held.release()
  }
}

const wordsOf = (greeting: Greeting): Buffer => (greeting.kind === 'refused' ? greeting.words : nothing)
