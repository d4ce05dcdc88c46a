/**
 * How many interim answers (1xx, RFC 9110 section 15.2) one exchange may have: nothing in the protocol bounds them, and
 * HTTP/2 has no flow control for them. A backend that says 102 every 20 seconds can do so for half an hour.
 */
import { ProxyError } from '../../base/errors.ts'
import type { ResponseHead } from '../../wire/heads.ts'

const interimAtMost = 100
const interimBytesAtMost = 65_536

export class InterimAnswers {
  private count = 0
  private bytes = 0

  /** @returns what is wrong with one more, or null */
  add(head: ResponseHead, endpoint: string): ProxyError | null {
    this.count++
    this.bytes += head.fields.text.length
    if (this.count <= interimAtMost && this.bytes <= interimBytesAtMost) return null
    const limit = this.count > interimAtMost ? `${interimAtMost}` : `${interimBytesAtMost} bytes of`
    return new ProxyError('BAD_RESPONSE', `${endpoint}: more than ${limit} interim answers (1xx) to one request`)
  }
}
