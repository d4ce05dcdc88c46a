/** An endpoint: one address of an upstream, with its connections, what is under way there and what is held against it. */
import { nowMs } from '../../base/deadlines.ts'
import type { ClientTls } from '../../model/tls-terms.ts'
import type { Lenient } from '../http1/lenient.ts'
import { Latency } from './latency.ts'
import type { Place } from './source.ts'

/** The connections to an endpoint. */
export interface EndpointPool {
  /** Connections that wait for an exchange, or share what they carry */
  readonly size: number
  /** Closes up to `most` of those that are idle. @returns how many */
  closeIdle(most: number): number
  /** Closes those that are idle, and the others as soon as they are. */
  close(): void
}

/** How an endpoint is spoken to; the same object for all addresses of a name. */
export type Spoken = {
  /** `host:port` as it is configured, or `unix:` and a path; for logs */
  readonly label: string
  /** What the Host field says where it is the endpoint's */
  readonly authority: string
  /** What may be spoken; `auto` over TLS is settled by ALPN, and without TLS is HTTP/1.1 */
  readonly http: 'auto' | 1 | 2
  /** What its HTTP/1.1 responses may get wrong; null: nothing */
  readonly lenient: Lenient | null
  /** Null for plain TCP; replaced when the files that it is made of are */
  tls: ClientTls | null
  /** The terms of `tls` with nothing but HTTP/1.1, for upgrades */
  http1Tls: ClientTls | null
}

/** How long an endpoint that could not be connected to is tried last */
export const avoidMs = 10_000

export class Endpoint {
  readonly place: Place
  readonly spoken: Spoken
  /** Exchanges and splices under way */
  active = 0
  /** Its share among the others */
  weight = 1
  /** Null where nobody measures */
  latency: Latency | null = null
  /** It could not be connected to, or was ejected, and is tried last until then, on the clock of `nowMs`; 0: nothing is held against it */
  avoidUntil = 0
  /** In a row, as outlier.ts counts them */
  failures = 0
  /** How often it was ejected, without having been well for long in between */
  ejections = 0
  /** On the clock of `nowMs` */
  ejectedUntil = 0
  /** Null until the first exchange */
  pool: EndpointPool | null = null
  /** Its upstream does not have this address any more: what is under way here ends, and nothing begins */
  gone = false

  constructor(place: Place, spoken: Spoken) {
    this.place = place
    this.spoken = spoken
  }

  get label(): string {
    return this.spoken.label
  }

  get authority(): string {
    return this.spoken.authority
  }

  get http(): 'auto' | 1 | 2 {
    return this.spoken.http
  }

  get tls(): ClientTls | null {
    return this.spoken.tls
  }

  /** For messages: which of the addresses of its name it is */
  get where(): string {
    const { place, spoken } = this
    const { address } = place
    return place.unix || spoken.label.startsWith(address) || spoken.label.startsWith(`[${address}]`)
      ? spoken.label
      : `${spoken.label} (${address})`
  }

  get inUse(): boolean {
    return this.active > 0 || (this.pool?.size ?? 0) > 0
  }

  /** A connection could not be made: for a while it is tried last. */
  avoid(): void {
    this.avoidUntil = Math.max(this.avoidUntil, nowMs() + avoidMs)
  }

  /** That says nothing of what it does with requests: one that is ejected stays so. */
  wasConnected(): void {
    if (this.avoidUntil !== 0 && this.ejectedUntil <= nowMs()) this.avoidUntil = 0
  }

  /** A try begins, of an upstream that balances by latency. @returns what `tryEnded` is given, once */
  tryBegan(): number {
    const now = nowMs()
    this.latency ??= new Latency()
    this.latency.began(now)
    return now
  }

  tryEnded(began: number): void {
    this.latency?.ended(began, nowMs())
  }

  /** New connections get new terms: those that are idle go, and the others when their exchanges are done. */
  leavePool(): void {
    this.pool?.close()
    this.pool = null
  }

  /** Nothing begins here any more. */
  retire(): void {
    this.gone = true
    this.pool?.close()
  }
}
