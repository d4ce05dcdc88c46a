/**
 * What a backend says first: a mail server one line, or with SMTP several (RFC 5321 section 4.2.1); a PostgreSQL server one byte,
 * after an SSLRequest.
 */

export type GreetingProtocol = MailProtocol | 'postgres'
type MailProtocol = 'smtp' | 'imap' | 'pop3'

export type Greeting =
  | { readonly kind: 'incomplete' }
  /** It waits for a command, or a ClientHello */
  | { readonly kind: 'ready' }
  /** It takes no commands; `words` is what it says, for the client */
  | { readonly kind: 'refused'; readonly why: string; readonly words: Buffer }
  | { readonly kind: 'malformed'; readonly why: string }

/** Its servers greet whoever connects. */
export const greets = (protocol: string | null): protocol is MailProtocol =>
  protocol === 'smtp' || protocol === 'imap' || protocol === 'pop3'

export const maxGreetingBytes = 4_096
const maxLines = 32

/**
 * Called with all that has come whenever a line has ended; of PostgreSQL with each byte.
 */
export function readGreeting(protocol: GreetingProtocol, bytes: Buffer): Greeting {
  if (protocol === 'postgres') return readSslAnswer(bytes)
  let from = 0
  for (let lines = 1; ; lines++) {
    const end = bytes.indexOf(0x0a, from)
    if (bytes.length > maxGreetingBytes || lines > maxLines)
      return {
        kind: 'malformed',
        why: `a greeting of ${protocol} with more than ${maxGreetingBytes} bytes or ${maxLines} lines`,
      }
    if (end === -1) return { kind: 'incomplete' }
    const line = bytes.toString('latin1', from, end).trimEnd()
    if (protocol === 'smtp' && /^[2-5]\d\d-/.test(line)) {
      from = end + 1
      continue
    }
    // A server waits for a command. What it says unasked would be read as the answer to one.
    if (end + 1 < bytes.length)
      return { kind: 'malformed', why: `the backend sent more than a greeting of ${protocol}` }
    return judge(protocol, line, bytes)
  }
}

const forms: Readonly<Record<MailProtocol, { readonly ready: RegExp; readonly refused: RegExp }>> = {
  smtp: { ready: /^220(?: |$)/, refused: /^[45]\d\d(?: |$)/ },
  imap: { ready: /^\* OK(?: |$)/i, refused: /^\* BYE(?: |$)/i },
  pop3: { ready: /^\+OK(?: |$)/, refused: /^-ERR(?: |$)/ },
}

function judge(protocol: MailProtocol, line: string, bytes: Buffer): Greeting {
  const { ready, refused } = forms[protocol]
  if (ready.test(line)) return { kind: 'ready' }
  const shown = JSON.stringify(line.slice(0, 100))
  if (refused.test(line))
    return { kind: 'refused', why: `the backend refused the connection: ${shown}`, words: Buffer.from(bytes) }
  // The client would be somebody whom it did not log in as.
  if (protocol === 'imap' && /^\* PREAUTH(?: |$)/i.test(line))
    return { kind: 'malformed', why: 'the backend greeted with PREAUTH: it takes the gateway for a user' }
  return { kind: 'malformed', why: `no greeting of ${protocol}: ${shown}` }
}

/** What comes with the S was sent ahead of the handshake, by anybody (CVE-2021-23222). */
function readSslAnswer(bytes: Buffer): Greeting {
  if (bytes.length === 0) return { kind: 'incomplete' }
  if (bytes.length === 1 && bytes[0] === 0x53) return { kind: 'ready' }
  const shown = JSON.stringify(bytes.toString('latin1', 0, 100))
  const why =
    bytes[0] === 0x53
      ? `the backend sent more than an S in answer to SSLRequest: ${shown}`
      : `the backend offers no TLS: it answered SSLRequest with ${shown}`
  return { kind: 'malformed', why }
}
