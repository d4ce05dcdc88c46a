/**
 * SMTP until STARTTLS (RFC 5321, RFC 3207): it greets, answers EHLO, and takes no mail. Inside TLS the client begins with EHLO
 * again, and is not greeted again.
 */
import { closing, more, startTls } from './dialog.ts'
import { type LineProtocol, wordOf } from './lines.ts'

/** @param host the name that is shown, as in `220 mail.example.com ESMTP` */
export function smtp(host: string): LineProtocol {
  let greeted = false
  return {
    name: 'SMTP',
    greeting: `220 ${host} ESMTP\r\n`,
    goodbye: why => `421 4.7.0 ${host} ${why}\r\n`,
    answer(line) {
      const verb = wordOf(line).toUpperCase()
      switch (verb) {
        case 'EHLO':
        case 'HELO':
          if (line.length === verb.length) return more(`501 5.5.4 ${verb} needs a name\r\n`)
          greeted = verb === 'EHLO'
          return more(greeted ? `250-${host}\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n` : `250 ${host}\r\n`)
        case 'STARTTLS':
          if (line.length > verb.length) return more('501 5.5.4 STARTTLS has no parameters\r\n')
          return greeted ? startTls('220 2.0.0 Ready to start TLS\r\n') : more('503 5.5.1 EHLO first\r\n')
        case 'NOOP':
        case 'RSET':
          return more('250 2.0.0 Ok\r\n')
        case 'QUIT':
          return closing('221 2.0.0 Bye\r\n')
        default:
          return {
            reply: '530 5.7.0 Must issue a STARTTLS command first\r\n',
            needsTls: known.has(verb) ? verb : 'a command',
          }
      }
    },
  }
}

/** What a client sends may be a password: no more of it is logged than one of these. */
const known: ReadonlySet<string> = new Set(['AUTH', 'MAIL', 'RCPT', 'DATA', 'BDAT', 'VRFY', 'EXPN', 'HELP', 'ETRN'])
