/** IMAP until STARTTLS (RFC 9051 section 6.2.1): it greets, tells its capabilities, and takes no password. */
import { closing, malformed, more, startTls } from './dialog.ts'
import { type LineProtocol, wordOf } from './lines.ts'

/** RFC 9051 section 9: any ASTRING-CHAR but `+` */
const tagForm = /^[!#$&',\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]{1,64}$/
const capabilities = 'IMAP4rev1 STARTTLS LOGINDISABLED'

export function imap(host: string): LineProtocol {
  const goodbye = (why: string) => `* BYE ${why}\r\n`
  return {
    name: 'IMAP',
    greeting: `* OK [CAPABILITY ${capabilities}] ${host} ready\r\n`,
    goodbye,
    answer(line) {
      const tag = wordOf(line)
      if (!tagForm.test(tag)) return more('* BAD a command begins with a tag\r\n')
      // The lines behind it would be read as commands.
      if (line.endsWith('}'))
        return malformed(goodbye('no literals before STARTTLS'), 'a literal ahead of STARTTLS')
      const rest = line.slice(tag.length + 1)
      const verb = rest.toUpperCase()
      switch (verb) {
        case 'CAPABILITY':
          return more(`* CAPABILITY ${capabilities}\r\n${tag} OK done\r\n`)
        case 'NOOP':
          return more(`${tag} OK done\r\n`)
        case 'LOGOUT':
          return closing(`${goodbye('logging out')}${tag} OK done\r\n`)
        case 'STARTTLS':
          return startTls(`${tag} OK begin TLS now\r\n`)
        default: {
          const name = wordOf(verb)
          if (name === '') return more(`${tag} BAD no command\r\n`)
          return {
            reply: `${tag} NO [PRIVACYREQUIRED] STARTTLS first\r\n`,
            needsTls: known.has(name) ? name : 'a command',
          }
        }
      }
    },
  }
}

/** What a client sends may be a password: no more of it is logged than one of these. */
const known: ReadonlySet<string> = new Set(['LOGIN', 'AUTHENTICATE', 'ID', 'ENABLE', 'SELECT', 'LIST', 'IDLE'])
