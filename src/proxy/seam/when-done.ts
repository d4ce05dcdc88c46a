/** Those who are told, once, that an exchange is over: each of them, whatever another one throws. */
import type { ProxyError } from '../../base/errors.ts'

type Done = (error: ProxyError | null) => void

export class WhenDone {
  private readonly told: Done[] = []

  add(done: Done): void {
    this.told.push(done)
  }

  tell(error: ProxyError | null, fault: (where: string, thrown: unknown) => void): void {
    for (const done of this.told) {
      try {
        done(error)
      } catch (thrown) {
        fault('stage', thrown)
      }
    }
  }
}
