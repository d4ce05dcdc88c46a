/** The head of a request toward an HTTP/1.1 backend, with our own framing (RFC 9112 section 6). */
import { type BackendUser, hasBody } from '../seam/backend.ts'

/** @param extra field lines that only this connection needs */
export function requestText(user: BackendUser, host: string, extra: string): string {
  const { head } = user
  let text = `${head.method} ${user.forwardPath}${user.forwardQuery} HTTP/1.1\r\nhost: ${host}\r\n`
  text += head.fields.text
  text += user.forwardText
  if (head.contentLength >= 0) text += `content-length: ${head.contentLength}\r\n`
  else if (head.chunked) text += 'transfer-encoding: chunked\r\n'
  if (user.upgrade !== null) text += `${extra}connection: upgrade\r\nupgrade: ${user.upgrade}\r\n`
  if (head.expectContinue && hasBody(head)) text += 'expect: 100-continue\r\n'
  return `${text}\r\n`
}
