/** Who sets TXT records. Several values at one name exist side by side: the names `a` and `*.a` are proved at the same one. */
export interface DnsProvider {
  /** For messages */
  readonly name: string
  /** How many values may be set at once, where there is a limit */
  readonly atOnce?: number
  /** Adds a value. Throws Error that says what was tried, and no secret. */
  set(fqdn: string, value: string, signal: AbortSignal): Promise<void>
  /** Takes the one value away, and no other. */
  unset(fqdn: string, value: string, signal: AbortSignal): Promise<void>
}
