/**
 * What a client still sends behind a response that ended its connection: read and thrown away, so that no reset overtakes the
 * response. Many clients send all of a request before they read (Python's requests), and some read meanwhile (curl, Chromium).
 * The deadline of `lingering` counts from the last byte; all together is bounded in time and bytes.
 */
import { enter, type Waiting } from '../seam/connection-phase.ts'
import type { Services } from '../seam/services.ts'

const longestMs = 30_000
const bytesAtMost = 256 * 1024 * 1024

type Lingering = Waiting & { readonly link: { destroy(): void } }

export class Leftover {
  private readonly services: Services
  private readonly client: Lingering
  private readonly since: number
  private bytes = 0

  constructor(services: Services, client: Lingering) {
    this.services = services
    this.client = client
    this.since = services.deadlines.now
    enter(client, 'lingering', services)
  }

  add(bytes: number): void {
    const { client, services } = this
    this.bytes += bytes
    if (this.bytes > bytesAtMost || services.deadlines.now - this.since > longestMs) client.link.destroy()
    else enter(client, 'lingering', services)
  }
}
