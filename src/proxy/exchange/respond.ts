/**
 * The gateway's own answers: errors as small HTML or JSON, by what the client accepts, with the id under which the
 * log has the whole story. Nothing of the inside is said: no addresses, no reasons, no version.
 */
import { type DateField, dateLineAt, hasDate } from '../../base/date-field.ts'
import { type ErrorCode, errorTable, type ProxyError } from '../../base/errors.ts'
import type { Reply } from '../../model/filter.ts'
import type { Link } from '../../model/link.ts'
import type { Sink } from '../../model/stage.ts'
import { Fields } from '../../wire/fields.ts'
import { type RequestHead, type ResponseHead, reasonOf } from '../../wire/heads.ts'
import type { Downstream } from '../seam/downstream.ts'
import { grpcStatusLines } from '../seam/grpc.ts'

export type OwnAnswer = {
  readonly status: number
  readonly reason: string
  readonly text: string
  /** Of the body, or -1 where there is none to speak of */
  readonly length: number
  readonly body: Uint8Array
}

/** A filter's or the configuration's reply. Throws TypeError on a header that RFC 9110 does not allow. */
export function replyAnswer(reply: Reply): OwnAnswer {
  const fields = new Fields('')
  for (const [name, value] of Object.entries(reply.headers ?? {})) fields.set(name, value)
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : (reply.body ?? new Uint8Array(0))
  const length = reply.status === 204 ? -1 : body.length
  return { status: reply.status, reason: reasonOf(reply.status), text: fields.text, length, body }
}

/** The head and body of an answer of our own, but for its end. @returns the bytes of its body that were written */
export function giveAnswer(downstream: Downstream, answer: OwnAnswer, method: string, date: DateField): number {
  const { status, reason, text, length, body } = answer
  const bodyless = method === 'HEAD' || status === 204 || status === 304
  const fields = hasDate(text) ? text : text + date.line
  downstream.head(status, reason, fields, length, bodyless)
  if (bodyless || body.length === 0) return 0
  downstream.data(body, 0, body.length)
  return body.length
}

/** The answer to a request that fails, in the form that its client understands. */
export function failureAnswer(error: ProxyError, { grpc, fields }: RequestHead, id: string): OwnAnswer {
  return grpc ? grpcErrorAnswer(error, id) : errorAnswer(error.code, fields.get('accept'), id)
}

/** To an extended CONNECT any 2xx says that its tunnel is open (RFC 8441 section 5), and no answer of ours is that. */
export function untunnelled(
  answer: OwnAnswer,
  asked: { readonly head: RequestHead; readonly id: string },
): OwnAnswer {
  const { head } = asked
  if (head.version !== 2 || head.upgrade === null || answer.status >= 300) return answer
  return errorAnswer('METHOD_NOT_SUPPORTED', head.fields.get('accept'), asked.id)
}

/** A call that fails before its answer ends with its head alone, which is a 200 ("Trailers-Only"). */
function grpcErrorAnswer(error: ProxyError, id: string): OwnAnswer {
  const text = `content-type: application/grpc\r\n${grpcStatusLines(error, id)}`
  return { status: 200, reason: 'OK', text, length: -1, body: new Uint8Array(0) }
}

/** @param accept the client's Accept field, or null */
export function errorAnswer(code: ErrorCode, accept: string | null, id: string): OwnAnswer {
  const row = errorTable[code]
  const status = row.status === 0 ? 500 : row.status
  const reason = reasonOf(status)
  const json = accept !== null && /\bjson\b/i.test(accept) && !/\btext\/html\b/i.test(accept)
  const body = json
    ? `${JSON.stringify({ status, error: reason, code, id })}\n`
    : page(status, reason, hintOf(code), id)
  const type = json ? 'application/json' : 'text/html; charset=utf-8'
  // An error is never to be kept by a cache, nor read as another type.
  const text = `content-type: ${type}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n`
  const bytes = Buffer.from(body)
  return { status, reason, text, length: bytes.length, body: bytes }
}

/** A whole answer on a connection that carries no other after it. */
export function writeWhole(link: Link, { status, reason, text, body }: OwnAnswer): void {
  const date = hasDate(text) ? '' : dateLineAt(Date.now())
  link.cork()
  link.writeText(
    `HTTP/1.1 ${status} ${reason}\r\n${text}${date}content-length: ${body.length}\r\nconnection: close\r\n\r\n`,
  )
  link.write(body)
  link.uncork()
}

/** A whole answer of our own into a sink. */
export function writeThrough(sink: Sink, answer: OwnAnswer, method: string): void {
  const { status, reason, text, length, body } = answer
  const bodyless = method === 'HEAD' || status === 204 || status === 304
  sink.answer(ownHead(status, reason, text, length), bodyless)
  if (!bodyless && body.length > 0) sink.data(body, 0, body.length)
  sink.end(null)
}

/** The head of an answer of our own, for a sink. @param length of the body, or -1 */
export const ownHead = (status: number, reason: string, text: string, length: number): ResponseHead => ({
  status,
  reason,
  fields: new Fields(text),
  contentLength: length,
  dated: hasDate(text),
  end: 0,
  minor: 1,
  chunked: false,
  persistent: true,
  upgrade: null,
})

const hints: Partial<Record<ErrorCode, string>> = {
  PLAIN_HTTP_ON_TLS_PORT: 'This port speaks HTTPS. Use https:// in the address.',
  MISDIRECTED: 'This host name needs a connection of its own.',
}

const hintOf = (code: ErrorCode): string => hints[code] ?? ''

function page(status: number, reason: string, hint: string, id: string): string {
  const says = hint === '' ? '' : `<p>${hint}</p>`
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${status} ${reason}</title>` +
    '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color:#222;background:#fff}' +
    'small{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}small{color:#999}}</style>' +
    `<h1>${status} ${reason}</h1>${says}<p><small>Request ${id}</small></p></html>\n`
  )
}
