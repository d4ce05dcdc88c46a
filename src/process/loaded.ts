/** What a process of a gateway is given to serve. */
import os from 'node:os'
import type { Config } from '../config/config.ts'
import type { Problem } from '../config/engine/problem.ts'
import type { ConfigSource } from '../config/load.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Signals } from './signals.ts'

export type Loaded = {
  readonly config: Config
  readonly warnings: readonly Problem[]
  readonly source: ConfigSource
  /** Without values that came from environment variables and files */
  hide(text: string): string
}

export type ServeOptions = {
  /** @param source what is read instead of the file, or null */
  readonly load: (source: ConfigSource | null) => Promise<Loaded>
  readonly signals: Signals | null
  readonly tlsKeyLog: string | undefined
  /** Called once; of several workers in the first */
  readonly afterReady: (gateway: Gateway) => void
}

export const workersOf = ({ workers }: Config): number => (workers === 'auto' ? os.availableParallelism() : workers)
