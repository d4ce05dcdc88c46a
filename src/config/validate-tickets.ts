/** Ticket keys, from rows to config.ts, and a word where the runtime cannot have them. */
import { abilities, runtime } from '../base/runtime.ts'
import type { TicketsConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { ticketsShape } from './schema/tickets.ts'

const shortestMs = 60_000
const longestMs = 7 * 86_400_000

/** @param tree the whole configuration */
export function validateTickets(
  raw: Raw<typeof ticketsShape> | undefined,
  tree: Node,
  problems: Problems,
): TicketsConfig | undefined {
  const { rotateMs } = raw ?? {}
  if (rotateMs !== undefined && (rotateMs < shortestMs || rotateMs > longestMs)) {
    problems.error(
      placeOf(tree, 'tickets', 'rotate'),
      'tickets.rotate is from 1m to 7d',
      'no client keeps a ticket for more than 7 days (RFC 8446 section 4.6.1)',
    )
    return undefined
  }
  if (childOf(tree, 'tickets') && !abilities.ticketKeys) {
    problems.warn(
      placeOfKey(tree, 'tickets'),
      `tickets: ${runtime.name}'s TLS library accepts no ticket keys, so this has no effect: sessions resume within one worker`,
      'remove it, or use --runtime node',
    )
  }
  return whole(ticketsShape, raw)
}
