/**
 * Host names to things: exact first, then the wildcard that covers one label more. One look-up serves SNI, Host and
 * passthrough alike; two that disagree are how client authentication is bypassed.
 */

export class Names<T> {
  private readonly exact = new Map<string, T>()
  /** By what follows `*.` */
  private readonly wild = new Map<string, T>()

  add(host: string, value: T): void {
    if (host.startsWith('*.')) this.wild.set(host.slice(2), value)
    else this.exact.set(host, value)
  }

  /** @param host in the form of wire/host.ts */
  find(host: string): T | null {
    const found = this.exact.get(host)
    if (found !== undefined) return found
    if (this.wild.size === 0) return null
    const dot = host.indexOf('.')
    // A wildcard stands for exactly one label (RFC 6125 section 6.4.3).
    return dot <= 0 ? null : (this.wild.get(host.slice(dot + 1)) ?? null)
  }
}
