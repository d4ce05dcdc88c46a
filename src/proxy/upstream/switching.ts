/** Between a backend's 101 and the tunnel: what was read together with the head is collected, then the links are joined. */
import type { ResponseHead } from '../../wire/heads.ts'

export class Switching {
  readonly head: ResponseHead
  /** What the backend has sent behind its head */
  readonly early: Buffer[] = []

  constructor(head: ResponseHead, attempt: { switched(switching: Switching): void }) {
    this.head = head
    queueMicrotask(() => attempt.switched(this))
  }
}
