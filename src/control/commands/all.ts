/** Every command of a running gateway; those with a verb are listed by `sallyport help` in this order. */
import type { AnyCommand } from '../command.ts'
import { certificates, chains, renew, revoke, rollOver } from './certificates.ts'
import { connections } from './connections.ts'
import { drain } from './drain.ts'
import { handshakes } from './handshakes.ts'
import { log } from './log.ts'
import { logLevel } from './log-level.ts'
import { maintenance } from './maintenance.ts'
import { metrics } from './metrics.ts'
import { ping } from './ping.ts'
import { reload } from './reload.ts'
import { status } from './status.ts'

export const allCommands: readonly AnyCommand[] = [
  status,
  reload,
  drain,
  connections,
  handshakes,
  logLevel,
  log,
  maintenance,
  certificates,
  chains,
  renew,
  revoke,
  rollOver,
  metrics,
  ping,
]
