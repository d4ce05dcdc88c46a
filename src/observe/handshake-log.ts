/** The last handshakes that failed, kept in memory for `sallyport handshakes`; bounded, whatever comes. */
import { cut, firstOf } from '../base/visible.ts'
import type { FailedHandshake, Observer, Offered } from '../model/records.ts'
import type { ClientHello } from '../wire/client-hello.ts'
import { ja4Of } from '../wire/ja4.ts'
import { cipherName, groupName, isGrease, signatureName, versionName } from '../wire/tls-names.ts'

/** A hello may offer thousands: what is kept of each list. */
const offeredAtMost = 64
/** Names of protocols are up to 255 bytes of anything. */
const namesAtMost = 16
const nameAtMost = 64
const whyAtMost = 1_024
/** Where it came to is in the log. */
export type KeptHandshake = Omit<FailedHandshake, 'clientPort' | 'port'>

const keptAtMost = 500

export class HandshakeLog implements Observer {
  readonly name = 'failed handshakes'
  private readonly ring: KeptHandshake[] = []
  private next = 0
  /** Since the start */
  total = 0

  failedHandshake({ clientPort: _port, port: _at, ...rest }: FailedHandshake): void {
    const failed = { ...rest, why: cut(rest.why, whyAtMost) }
    this.total++
    if (this.ring.length < keptAtMost) this.ring.push(failed)
    else this.ring[this.next] = failed
    this.next = (this.next + 1) % keptAtMost
  }

  /** The oldest first. */
  list(): KeptHandshake[] {
    return this.ring.length < keptAtMost
      ? [...this.ring]
      : [...this.ring.slice(this.next), ...this.ring.slice(0, this.next)]
  }
}

export function offeredBy(hello: ClientHello | null): FailedHandshake['offered'] {
  if (hello === null) return {}
  const names = (values: readonly number[], name: (value: number) => string) =>
    values
      .filter(value => !isGrease(value))
      .slice(0, offeredAtMost)
      .map(name)
  return {
    alpnOffered: firstOf(hello.alpn, namesAtMost, nameAtMost),
    ja4: ja4Of(hello),
    groupsOffered: names(hello.groups, groupName),
    signatureAlgorithms: names(hello.signatureAlgorithms, signatureName),
    versions: names(hello.versions, versionName),
    ciphersOffered: names(hello.cipherSuites, cipherName),
  } satisfies Offered
}
