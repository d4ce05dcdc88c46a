/** The last handshakes that failed, kept in memory for `sallyport handshakes`; bounded, whatever comes. */

export type FailedHandshake = {
  /** Milliseconds since 1970 */
  readonly at: number
  /** Code of docs/errors.md, and the sentence of the log */
  readonly error: string
  readonly why: string
  readonly client: string
  readonly sni: string | null
  /** The TLS alert that ended it, by its name in RFC 8446, and who sent it; null where there was none */
  readonly alert: string | null
  readonly alertFrom: 'gateway' | 'client' | null
  /** Empty where its hello was not read */
  readonly offered: Offered | Record<string, never>
}

/** What a client has offered, by name; without GREASE values, and bounded */
export type Offered = {
  readonly alpnOffered: readonly string[]
  readonly ja4: string
  readonly groupsOffered: readonly string[]
  readonly signatureAlgorithms: readonly string[]
  readonly versions: readonly string[]
  readonly ciphersOffered: readonly string[]
}

const keptAtMost = 500

export class HandshakeLog {
  private readonly ring: FailedHandshake[] = []
  private next = 0
  /** Since the start */
  total = 0

  add(failed: FailedHandshake): void {
    this.total++
    if (this.ring.length < keptAtMost) this.ring.push(failed)
    else this.ring[this.next] = failed
    this.next = (this.next + 1) % keptAtMost
  }

  /** The oldest first. */
  list(): FailedHandshake[] {
    return this.ring.length < keptAtMost
      ? [...this.ring]
      : [...this.ring.slice(this.next), ...this.ring.slice(0, this.next)]
  }
}
