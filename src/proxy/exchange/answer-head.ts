/** The text of a response head toward a client, with our own framing (RFC 9112 section 6). */

import type { DateField } from '../../base/date-field.ts'
import type { ResponseHead } from '../../wire/heads.ts'

type AnswerFraming = {
  /** Of the body, or -1 */
  readonly length: number
  readonly chunked: boolean
  readonly close: boolean
  readonly minor: 0 | 1
}

export function answerHead(status: number, reason: string, text: string, framing: AnswerFraming): string {
  let head = status === 200 && reason === 'OK' ? 'HTTP/1.1 200 OK\r\n' : `HTTP/1.1 ${status} ${reason}\r\n`
  head += text
  if (framing.length >= 0 && status !== 204) head += `content-length: ${framing.length}\r\n`
  else if (framing.chunked) head += 'transfer-encoding: chunked\r\n'
  if (framing.close) return `${head}connection: close\r\n\r\n`
  return framing.minor === 0 ? `${head}connection: keep-alive\r\n\r\n` : `${head}\r\n`
}

/**
 * The length that an answer announces, or -1. A filter may have made a 204 or 304 into an answer that ends at its
 * length: then it is 0, whatever the length was that the backend spoke of.
 */
export function answerLength(head: ResponseHead, bodyless: boolean, method: string): number {
  if (bodyless && method !== 'HEAD' && head.status !== 204 && head.status !== 304) return 0
  return head.chunked ? -1 : head.contentLength
}

/**
 * The field lines of a backend's answer: a Date where there is none, and what a 426 asks for, which
 * the encoder of HTTP/2 leaves out, since that has no upgrades.
 */
export function answerText(head: ResponseHead, date: DateField): string {
  let { text } = head.fields
  if (!head.dated) text += date.line
  if (head.status === 426 && head.upgrade !== null) text += `upgrade: ${head.upgrade}\r\nconnection: upgrade\r\n`
  return text
}
