/** The text of a response head toward a client, with our own framing (RFC 9112 section 6). */

export type AnswerFraming = {
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
