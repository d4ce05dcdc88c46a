/** Between a backend's 101 and the tunnel: what was read together with the head is collected, then the links are joined. */
import type { Link } from '../model/link.ts'

export interface SwitchingExchange {
  readonly finished: boolean
  readonly attempts: { release(): { release(): Link } | null }
  joinTunnel(backend: Link, early: readonly Buffer[]): void
}

export class Switching {
  /** What the backend has sent behind its head */
  readonly early: Buffer[] = []

  constructor(exchange: SwitchingExchange) {
    queueMicrotask(() => {
      const backend = exchange.finished ? null : exchange.attempts.release()
      if (backend !== null) exchange.joinTunnel(backend.release(), this.early)
    })
  }
}
