/**
 * Host names to things: exact first, then the wildcard that covers one label more. One look-up serves SNI, Host and
 * passthrough alike; two that disagree are how client authentication is bypassed.
 */

/** Lower case, without a port and without the trailing dot; an IPv6 address keeps its brackets. */
export function canonicalHost(host: string): string {
  let end = host.length
  if (host.charCodeAt(0) === 91) end = host.indexOf(']') + 1
  else {
    const colon = host.indexOf(':')
    if (colon >= 0) end = colon
  }
  if (host.charCodeAt(end - 1) === 46) end--
  return (end === host.length ? host : host.slice(0, end)).toLowerCase()
}

export class Names<T> {
  private readonly exact = new Map<string, T>()
  /** By what follows `*.` */
  private readonly wild = new Map<string, T>()

  add(host: string, value: T): void {
    if (host.startsWith('*.')) this.wild.set(host.slice(2), value)
    else this.exact.set(host, value)
  }

  /** @param host in canonical form */
  find(host: string): T | null {
    const found = this.exact.get(host)
    if (found !== undefined) return found
    if (this.wild.size === 0) return null
    const dot = host.indexOf('.')
    // A wildcard stands for exactly one label (RFC 6125 section 6.4.3).
    return dot <= 0 ? null : (this.wild.get(host.slice(dot + 1)) ?? null)
  }
}
