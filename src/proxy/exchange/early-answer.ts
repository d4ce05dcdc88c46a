/**
 * What a request gets that never became an exchange, since it could not be read: the error's page, through the stages of the
 * fallback route of the listener. There is no request to speak of: its fields are empty, and its host is not known. The answer
 * is taken whole and within the call; a stage that would wait is not waited for, and the page goes without it.
 */
import type { ErrorCode, ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Reply } from '../../model/filter.ts'
import type { Sink, StagedExchange } from '../../model/stage.ts'
import { Fields } from '../../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../../wire/heads.ts'
import { nobodyAsked } from '../seam/backend-side.ts'
import type { Services } from '../seam/services.ts'
import { WhenDone } from '../seam/when-done.ts'
import { errorAnswer, type OwnAnswer, replyAnswer, writeThrough } from './respond.ts'

/** @returns a whole answer with its length and without a Date */
export function earlyAnswer(services: Services, connection: Connection, error: ProxyError, id: string): OwnAnswer {
  const early = new EarlyExchange(connection, error, id)
  services.snapshot.fallback.refused(early, early)
  return early.done(services)
}

class EarlyExchange implements StagedExchange, Sink {
  id: string
  readonly connection: Connection
  readonly client: Connection
  readonly head: RequestHead = unread()
  readonly host = ''
  readonly path = ''
  readonly query = ''
  forwardPath = ''
  forwardQuery = ''
  forwardText = ''
  hostField: string | null = null
  upgrade: string | null = null
  readonly siteName = ''
  readonly route = null
  readonly attempts = nobodyAsked
  readonly refusal: ProxyError
  readonly errorCode: ErrorCode
  readonly answersItself = true
  unlogged = false
  finished = false
  private answered: ResponseHead | null = null
  private readonly body: Buffer[] = []
  private ended = false
  private readonly whenDone = new WhenDone()

  constructor(connection: Connection, error: ProxyError, id: string) {
    this.connection = connection
    this.client = connection
    this.refusal = error
    this.errorCode = error.code
    this.id = id
  }

  done(services: Services): OwnAnswer {
    this.finished = true
    this.whenDone.tell(this.refusal, services.events.fault)
    const head = this.answered
    if (head === null || !this.ended) return this.page(this.refusal)
    const body = Buffer.concat(this.body)
    const { status, reason, fields } = head
    return { status, reason, text: fields.text, length: body.length, body }
  }

  failThrough(sink: Sink, error: ProxyError): void {
    writeThrough(sink, this.page(error), '')
  }

  replyThrough(sink: Sink, reply: Reply): void {
    writeThrough(sink, replyAnswer(reply), '')
  }

  onDone(done: (error: ProxyError | null) => void): void {
    this.whenDone.add(done)
  }

  // Sink

  inform(): boolean {
    return true
  }

  answer(head: ResponseHead): void {
    if (!this.finished) this.answered = head
  }

  data(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.finished) this.body.push(Buffer.from(bytes.subarray(from, to)))
    return true
  }

  end(): void {
    this.ended = true
  }

  abort(): void {
    this.answered = null
  }

  switched(): void {}
  requestDrained(): void {}

  private page(error: ProxyError): OwnAnswer {
    return errorAnswer(error.code, null, this.id)
  }
}

const unread = (): RequestHead => ({
  end: 0,
  minor: 1,
  version: 1,
  method: '',
  target: '',
  host: null,
  fields: new Fields(''),
  contentLength: -1,
  chunked: false,
  persistent: false,
  upgrade: null,
  expectContinue: false,
  trailers: false,
  claims: null,
  grpc: false,
  grpcTimeout: null,
})
