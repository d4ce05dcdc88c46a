/**
 * Peeks at the ClientHello that opens a connection. The usual one is a single record in a single chunk: it is parsed
 * where it lies, without a copy. One that comes in pieces is collected, judged as it grows, and parsed once.
 */
import type { Share } from '../base/memory-budget.ts'
import { type ClientHello, parseClientHello } from './client-hello.ts'
import type { Malformed } from './tls-alert.ts'
import { joinRecords, startWalk, walkRecords } from './tls-records.ts'

export type Peek =
  | { readonly kind: 'incomplete' }
  /** `length`: where the hello's last record ends. What follows it, early data for one, was not looked at. */
  | { readonly kind: 'hello'; readonly hello: ClientHello; readonly length: number }
  | Malformed

/** Thirty times the largest hello in the wild (two post-quantum key shares and a ticket: about 2 kB). */
const defaultMaxHelloBytes = 65536

const incomplete: Peek = { kind: 'incomplete' }

function peek(walk: ReturnType<typeof startWalk>, bytes: Uint8Array, have: number, maxBytes: number): Peek {
  const complete = walkRecords(walk, bytes, have, maxBytes)
  if (complete === false) return incomplete
  if (complete !== true) return complete
  const message = walk.records === 1 ? bytes.subarray(5, walk.at) : joinRecords(walk, bytes)
  const hello = parseClientHello(message)
  return 'alert' in hello ? hello : { kind: 'hello', hello, length: walk.at }
}

/** Judges the first bytes of a connection at once. To judge them again as they grow, use a HelloReader. */
export function peekHello(bytes: Uint8Array, maxBytes: number = defaultMaxHelloBytes): Peek {
  return peek(startWalk(), bytes, bytes.length, maxBytes)
}

/**
 * Collects chunks until there is a verdict; then it has no further use. The whole costs time in proportion to the
 * bytes, however small the chunks. A chunk may be overwritten by its owner as soon as `push` has answered
 * `incomplete`: it has been copied. It holds at most `maxBytes` and the last chunk.
 */
export class HelloReader {
  readonly #maxBytes: number
  readonly #walk = startWalk()
  #bytes: Uint8Array = new Uint8Array(0)
  #have = 0
  readonly #share: Share | null
  /** Bytes that `#share` has */
  #counted = 0

  /** @param share of the connection that it is held for, until `release`; null: it is not counted */
  constructor(share: Share | null, maxBytes: number = defaultMaxHelloBytes) {
    this.#share = share
    this.#maxBytes = maxBytes
  }

  push(chunk: Uint8Array): Peek {
    if (this.#have > 0) {
      this.#append(chunk)
      return peek(this.#walk, this.#bytes, this.#have, this.#maxBytes)
    }
    const verdict = peek(this.#walk, chunk, chunk.length, this.#maxBytes)
    if (verdict.kind === 'incomplete') this.#append(chunk)
    else {
      this.#bytes = chunk
      this.#have = chunk.length
    }
    return verdict
  }

  /** Everything pushed so far, in order: what TLS or the backend has to be given. The only chunk itself if one was enough. */
  bytes(): Uint8Array {
    return this.#have === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#have)
  }

  /** Nothing is kept any more; what `bytes` gave stays valid. */
  release(): void {
    this.#share?.add(-this.#counted)
    this.#counted = 0
    this.#bytes = new Uint8Array(0)
    this.#have = 0
  }

  #append(chunk: Uint8Array): void {
    const need = this.#have + chunk.length
    if (need > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2, 2048))
      grown.set(this.#bytes.subarray(0, this.#have))
      this.#share?.add(grown.length - this.#counted)
      this.#counted = grown.length
      this.#bytes = grown
    }
    this.#bytes.set(chunk, this.#have)
    this.#have = need
  }
}
