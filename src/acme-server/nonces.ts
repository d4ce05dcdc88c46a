/**
 * Nonces (RFC 8555 section 6.5): each is good for one request. They are not kept when they are given out, since anybody may
 * ask for any number: a nonce carries its time and a MAC, and only those that came back in a request with a good signature
 * are remembered, until their time is over.
 *
 * Invariant: the MAC's key is made anew with every start, so that what was used before a restart is not good after it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const validMs = 15 * 60_000
const mostUsed = 200_000

export class Nonces {
  readonly #key = randomBytes(32)
  /** Used ones and when they end, in the order of their use */
  readonly #used = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  create(): string {
    const body = Buffer.alloc(16)
    body.writeUIntBE(this.#now(), 0, 6)
    randomBytes(10).copy(body, 6)
    return Buffer.concat([body, this.#mac(body)]).toString('base64url')
  }

  /** Whether it is one of ours, in time, and was not used. */
  isGood(nonce: string): boolean {
    if (!/^[A-Za-z0-9_-]{43}$/.test(nonce)) return false
    const bytes = Buffer.from(nonce, 'base64url')
    // The last character has bits to spare: another spelling of a used nonce must not be another nonce.
    if (bytes.toString('base64url') !== nonce) return false
    const body = bytes.subarray(0, 16)
    if (!timingSafeEqual(bytes.subarray(16), this.#mac(body))) return false
    const age = this.#now() - body.readUIntBE(0, 6)
    return age >= -validMs && age <= validMs && !this.#used.has(nonce)
  }

  /** @returns false when there are too many to remember: the request must be refused */
  use(nonce: string): boolean {
    const now = this.#now()
    for (const [each, end] of this.#used) {
      if (end > now) break
      this.#used.delete(each)
    }
    if (this.#used.size >= mostUsed) return false
    this.#used.set(nonce, now + 2 * validMs)
    return true
  }

  #mac(body: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(body).digest().subarray(0, 16)
  }
}
