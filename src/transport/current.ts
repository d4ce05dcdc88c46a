/** The transport of the runtime we are on. */
import { UsageError } from '../base/errors.ts'
import { MemoryBudget } from '../base/memory-budget.ts'
import { bun } from '../base/runtime.ts'
import type { TicketKeys } from '../model/ticket-keys.ts'
import { bunTransport } from './bun.ts'
import { nodeTransport } from './node.ts'
import type { FaultSink, KeyLog, LinkCount, Transport } from './transport.ts'

/**
 * Throws UsageError where the runtime cannot give what is asked for.
 * @param tickets are used where the TLS library takes keys (`abilities.ticketKeys`)
 */
export function currentTransport(
  fault: FaultSink,
  keyLog: KeyLog,
  tickets: TicketKeys,
  links: LinkCount = { open: 0 },
  budget: MemoryBudget = new MemoryBudget(Number.POSITIVE_INFINITY, () => {}),
): Transport {
  if (bun === null) return nodeTransport(fault, keyLog, tickets, links, budget)
  if (keyLog !== null)
    throw new UsageError("--tls-keylog: Bun's TLS library gives no session secrets; use --runtime node")
  return bunTransport(bun, fault, links, budget)
}
