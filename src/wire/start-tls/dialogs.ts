/** The dialogs of the protocols in which the server, or a stream header, comes first: each has a listener of its own. */
import { randomUUID } from 'node:crypto'
import type { Share } from '../../base/memory-budget.ts'
import type { StartTlsDialog } from './dialog.ts'
import { imap } from './imap.ts'
import { LineDialog } from './lines.ts'
import { pop3 } from './pop3.ts'
import { smtp } from './smtp.ts'
import { XmppDialog } from './xmpp.ts'

export const listenerProtocols = ['smtp', 'imap', 'pop3', 'xmpp'] as const
export type ListenerProtocol = (typeof listenerProtocols)[number]

/** Where one begins in cleartext and changes to TLS; PostgreSQL on the port of TLS itself */
export type StartTls = ListenerProtocol | 'postgres'

/** @param host what the gateway calls itself */
export function dialogOf(protocol: ListenerProtocol, host: string, share: Share | null): StartTlsDialog {
  switch (protocol) {
    case 'smtp':
      return new LineDialog(smtp(host), share)
    case 'imap':
      return new LineDialog(imap(host), share)
    case 'pop3':
      return new LineDialog(pop3(host), share)
    case 'xmpp':
      return new XmppDialog(host, randomUUID(), share)
  }
}
