/** The worst inputs of what is read in cleartext ahead of TLS. Each dialog ends at its limit: the inputs are just below it. */
import { readGreeting } from '../../../src/wire/start-tls/backend-greeting.ts'
import type { StartTlsDialog } from '../../../src/wire/start-tls/dialog.ts'
import { imap } from '../../../src/wire/start-tls/imap.ts'
import { LineDialog } from '../../../src/wire/start-tls/lines.ts'
import { pop3 } from '../../../src/wire/start-tls/pop3.ts'
import { PostgresDialog } from '../../../src/wire/start-tls/postgres.ts'
import { smtp } from '../../../src/wire/start-tls/smtp.ts'
import { XmppDialog } from '../../../src/wire/start-tls/xmpp.ts'
import { bytewise, latin1, type Worst, worst } from './worst.ts'

const folder = 'src/wire/start-tls'

/** A dialog that reads this, whole or byte by byte */
const reads =
  (open: () => StartTlsDialog, text: (n: number) => string, inPieces = true) =>
  (n: number) => {
    const bytes = latin1(text(n))
    return () => {
      const dialog = open()
      if (inPieces) bytewise(bytes, piece => dialog.push(piece))
      else dialog.push(bytes)
      dialog.release()
    }
  }

const spaces = (n: number) => ' '.repeat(n)
const openXmpp = () => new XmppDialog('a.test', 'id', null)

export const startTls: readonly Worst[] = [
  worst(
    `${folder}/lines.ts`,
    'a line byte by byte',
    240,
    reads(
      () => new LineDialog(smtp('a.test'), null),
      n => `EHLO ${'x'.repeat(n)}`,
    ),
  ),
  worst(
    `${folder}/smtp.ts`,
    'a long command',
    240,
    reads(
      () => new LineDialog(smtp('a.test'), null),
      n => `EHLO${spaces(n)}\n`,
      false,
    ),
  ),
  worst(
    `${folder}/imap.ts`,
    'a long command',
    240,
    reads(
      () => new LineDialog(imap('a.test'), null),
      n => `a${spaces(n)}\n`,
      false,
    ),
  ),
  worst(
    `${folder}/pop3.ts`,
    'a long command',
    240,
    reads(
      () => new LineDialog(pop3('a.test'), null),
      n => `APOP${spaces(n)}\n`,
      false,
    ),
  ),
  worst(
    `${folder}/xmpp.ts`,
    'spaces between attributes',
    450,
    reads(openXmpp, n => `<stream:stream${spaces(n)}>`),
  ),
  worst(
    `${folder}/xmpp.ts`,
    'an attribute without a value',
    450,
    reads(openXmpp, n => `<stream:stream ${'a'.repeat(n)} >`),
  ),
  worst(
    `${folder}/xmpp.ts`,
    'a quote without an end',
    450,
    reads(openXmpp, n => `<stream:stream${" a='".repeat(n / 4)}`),
  ),
  worst(
    `${folder}/postgres.ts`,
    'a startup packet byte by byte',
    2_000,
    reads(
      () => new PostgresDialog(null),
      n => `\0\0${String.fromCharCode((n + 8) >> 8, (n + 8) & 255)}\0\x03\0\0${'x'.repeat(n)}`,
    ),
  ),
  worst(`${folder}/backend-greeting.ts`, 'a line without an end', 1_000, n => {
    const bytes = latin1(`220-${spaces(n)}`)
    return () => readGreeting('smtp', bytes)
  }),
]
