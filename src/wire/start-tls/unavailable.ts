/** What a client is told inside TLS when its backend cannot be reached: the end of a connection, in the words of its protocol. */
import type { StartTls } from './dialogs.ts'
import { errorResponse } from './postgres.ts'

const words: Readonly<Record<StartTls, string>> = {
  smtp: '421 4.3.2 service not available, try again later\r\n',
  imap: '* BYE service not available, try again later\r\n',
  pop3: '-ERR [SYS/TEMP] service not available, try again later\r\n',
  postgres: errorResponse('57P03', 'the database server cannot be reached'),
  // An error stands in a stream, and the backend has opened none.
  xmpp: '',
}

/** Empty where nothing can be said. */
export const unavailable = (protocol: StartTls | null): string => (protocol === null ? '' : words[protocol])
