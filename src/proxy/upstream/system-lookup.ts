/**
 * How the system looks up a name: its hosts file, search domains and whatever else it is set up with. That tells no lifetimes, so DNS
 * is asked for the TTL beside it. Names that do not come from there have none.
 */
import dns from 'node:dns'

type Record = { readonly address: string; readonly ttl: number }
type Told = (error: Error | null, records: readonly Record[]) => void

/** The part of `node:dns` that is used; both runtimes have it, with TTLs. */
export type Resolving = {
  lookup(
    host: string,
    options: { readonly all: true },
    settled: (error: Error | null, found: readonly { readonly address: string }[]) => void,
  ): void
  resolve4(host: string, options: { readonly ttl: true }, told: Told): void
  resolve6(host: string, options: { readonly ttl: true }, told: Told): void
}

type Settled = (error: Error | null, addresses: readonly string[]) => void

export const lookupThrough =
  (resolving: Resolving) =>
  (host: string, settled: Settled, holds: (ms: number) => void): void => {
    resolving.lookup(host, { all: true }, (error, found) => {
      const addresses = error ? [] : found.map(entry => entry.address)
      settled(error, addresses)
      if (addresses.length > 0 && isInDns(host)) askTtl(resolving, host, addresses, holds)
    })
  }

export const systemLookup = lookupThrough(dns as Resolving)

/** Names without a dot are completed with search domains or stand in the hosts file, and `localhost` is no concern of DNS (RFC 6761). */
const isInDns = (host: string): boolean => host.includes('.') && !/(^|\.)localhost\.?$/i.test(host)

/** The least TTL of the records that the system's answer consists of, for each family. */
function askTtl(
  resolving: Resolving,
  host: string,
  addresses: readonly string[],
  holds: (ms: number) => void,
): void {
  const told: Told = (error, records) => {
    const own = (error ? [] : records).filter(record => addresses.includes(record.address))
    if (own.length > 0) holds(Math.min(...own.map(record => record.ttl)) * 1000)
  }
  if (addresses.some(address => !address.includes(':'))) resolving.resolve4(host, { ttl: true }, told)
  if (addresses.some(address => address.includes(':'))) resolving.resolve6(host, { ttl: true }, told)
}
