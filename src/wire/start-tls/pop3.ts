/** POP3 until STLS (RFC 2595 section 4): it greets, tells its capabilities (RFC 2449), and takes no password. */
import { closing, more, startTls } from './dialog.ts'
import { type LineProtocol, wordOf } from './lines.ts'

export function pop3(host: string): LineProtocol {
  return {
    name: 'POP3',
    // Without a timestamp: APOP is a password in cleartext too.
    greeting: `+OK ${host} ready\r\n`,
    goodbye: why => `-ERR ${why}\r\n`,
    answer(line) {
      const verb = line.toUpperCase()
      switch (verb) {
        case 'CAPA':
          return more('+OK\r\nSTLS\r\nRESP-CODES\r\n.\r\n')
        case 'STLS':
          return startTls('+OK begin TLS now\r\n')
        case 'QUIT':
          return closing('+OK bye\r\n')
        default: {
          const name = wordOf(verb)
          return { reply: '-ERR [AUTH] STLS first\r\n', needsTls: known.has(name) ? name : 'a command' }
        }
      }
    },
  }
}

/** What a client sends may be a password: no more of it is logged than one of these. */
const known: ReadonlySet<string> = new Set(['USER', 'PASS', 'APOP', 'AUTH', 'UTF8', 'LANG'])
