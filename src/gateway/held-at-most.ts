/** The memory budget of one process: half of what the gateway may use, shared among its processes. */
import { machineMemoryBytes } from '../base/runtime.ts'
import type { LimitsConfig } from '../config/config.ts'

export function heldAtMost({ memoryBytes }: LimitsConfig, processes = 1): number {
  return (memoryBytes || machineMemoryBytes()) / 2 / processes
}
