/**
 * A dialog in lines, as SMTP, IMAP and POP3 have it: the framing, the limits, and what no line may be. Lines end with CR LF or
 * LF; neither goes anywhere else, so that nobody can read them in two ways.
 */
import { Gathered } from '../../base/gathered.ts'
import type { Share } from '../../base/memory-budget.ts'
import { closing, malformed, more, pipelined, type Refused, type Said, type StartTlsDialog } from './dialog.ts'

/** RFC 5321 section 4.5.3.1.4 asks for 512, and nothing else that may come here is longer. */
const maxLineBytes = 1_000
/** A client needs two or three before it asks for TLS. */
const maxLines = 32

/** Browsers can be made to send a request to any port: its body may be what an attacker wrote. */
const httpMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'CONNECT',
  'TRACE',
])

export type LineProtocol = {
  readonly name: string
  readonly greeting: string
  /** Of one whole line without its end: printable ASCII and bytes above it. A reply is at most a few hundred bytes. */
  answer(line: string): Said | Needs
  goodbye(why: string): string
}

/** The command is answered, and was one that needs TLS: if the client leaves after it, the log has it. */
type Needs = { readonly reply: string; readonly needsTls: string }

export class LineDialog implements StartTlsDialog {
  readonly greeting: string
  private readonly protocol: LineProtocol
  private readonly line: Gathered
  private lines = 0
  /** The first command that was refused because it needs TLS */
  private needed: string | null = null

  constructor(protocol: LineProtocol, share: Share | null) {
    this.protocol = protocol
    this.greeting = protocol.greeting
    this.line = new Gathered(share)
  }

  push(chunk: Buffer): Said {
    let reply = ''
    for (let from = 0; from < chunk.length; ) {
      const end = chunk.indexOf(0x0a, from)
      const to = end === -1 ? chunk.length : end
      if (this.line.length + to - from > maxLineBytes)
        return this.refuse(reply, 'line too long', `a line of more than ${maxLineBytes} bytes`)
      this.line.append(chunk.subarray(from, to))
      if (end === -1) break
      from = end + 1
      if (++this.lines > maxLines)
        return this.refuse(reply, 'too many commands', `more than ${maxLines} commands without STARTTLS`)
      const said = this.take()
      reply += said.reply
      if (said.next === 'close') return { ...said, reply }
      if (said.next === 'tls')
        return from === chunk.length
          ? { ...said, reply }
          : pipelined(
              this.protocol.goodbye('nothing may be pipelined behind STARTTLS'),
              'STARTTLS',
              chunk.length - from,
            )
    }
    return more(reply)
  }

  goodbye(why: string): string {
    return this.protocol.goodbye(why)
  }

  ended(): Refused | null {
    if (this.needed === null) return null
    return {
      code: 'STARTTLS_REQUIRED',
      why: `the client sent ${this.needed} in cleartext, and left without STARTTLS`,
    }
  }

  release(): void {
    this.line.release()
  }

  private take(): Said {
    const bytes = this.line.view()
    const withoutCr = bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes
    this.line.release()
    for (const byte of withoutCr)
      if (byte < 0x20 || byte === 0x7f) return this.refuse('', 'malformed line', 'a control byte in a line')
    const line = withoutCr.toString('latin1')
    if (httpMethods.has(wordOf(line)))
      return this.refuse('', `this is ${this.protocol.name}`, `an HTTP request where ${this.protocol.name} begins`)
    const said = this.protocol.answer(line)
    if ('next' in said)
      return said.next === 'close' && said.refused === null ? closing(said.reply, this.ended()) : said
    this.needed ??= said.needsTls
    return more(said.reply)
  }

  private refuse(reply: string, text: string, why: string): Said {
    return malformed(reply + this.protocol.goodbye(text), why)
  }
}

/** The first word of a line as it is written. */
export function wordOf(line: string): string {
  const space = line.indexOf(' ')
  return space === -1 ? line : line.slice(0, space)
}
