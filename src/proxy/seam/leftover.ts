/**
 * What a client still sends behind a response that ended its connection: read and thrown away, so that no reset overtakes the
 * response. Many clients send all of a request before they read (Python's requests), and some read meanwhile (curl, Chromium).
 * The deadline of `lingering` counts from the last byte; all together is bounded in time and bytes.
 *
 * A client may also read the response slowly: while what is queued of it gets less, that is waited for, as for any response. Then the
 * connection is closed without a reset, which would take back what the kernel still has to send.
 */
import type { Link } from '../../model/link.ts'
import { enter, type Waiting } from './connection-phase.ts'
import type { Services } from './services.ts'

const longestMs = 30_000
const bytesAtMost = 256 * 1024 * 1024

type Lingering = Waiting & { readonly link: Pick<Link, 'queuedBytes' | 'close' | 'destroy'> }

export class Leftover {
  private readonly services: Services
  private readonly client: Lingering
  /** When the response had left */
  private since: number
  private bytes = 0
  private queuedThen = -1
  private movedAt = 0
  private closing = false

  constructor(services: Services, client: Lingering) {
    this.services = services
    this.client = client
    this.since = services.deadlines.now
    enter(client, 'lingering', services)
  }

  add(bytes: number): void {
    const { client, services } = this
    this.bytes += bytes
    const { now } = services.deadlines
    // While the response has not left, `late` says how long: a client that sends need not be one that reads.
    const isLeaving = client.link.queuedBytes > 0
    if (isLeaving) this.since = now
    if (this.bytes > bytesAtMost || now - this.since > longestMs) client.link.destroy()
    else if (!isLeaving) enter(client, 'lingering', services)
  }

  /** The deadline: nothing has come for a while. */
  late(): void {
    const { client, services } = this
    const { link } = client
    const isLeaving = link.queuedBytes > 0
    if (isLeaving ? !this.isRead() : this.closing) {
      link.destroy()
      return
    }
    enter(client, 'lingering', services)
    if (isLeaving) return
    this.closing = true
    link.close()
  }

  private isRead(): boolean {
    const { deadlines, snapshot } = this.services
    const { idleMs } = snapshot.timeouts
    const { queuedBytes } = this.client.link
    if (queuedBytes !== this.queuedThen) this.movedAt = deadlines.now
    this.queuedThen = queuedBytes
    return idleMs === 0 || deadlines.now - this.movedAt < idleMs
  }
}
