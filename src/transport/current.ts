/** The transport of the runtime we are on. */
import { bun } from '../base/runtime.ts'
import { bunTransport } from './bun.ts'
import { nodeTransport } from './node.ts'
import type { FaultSink, Transport } from './transport.ts'

export function currentTransport(fault: FaultSink): Transport {
  return bun ? bunTransport(bun, fault) : nodeTransport(fault)
}
