/**
 * The addresses of an endpoint's host. A name is looked up when it is first needed and again after `resolveMs`, while
 * the old addresses go on serving; a look-up that fails keeps them.
 */
import dns from 'node:dns'
import net from 'node:net'
import type { Addresses } from '../model/upstream.ts'

export type Lookup = (host: string, settled: (error: Error | null, addresses: readonly string[]) => void) => void

const systemLookup: Lookup = (host, settled) => {
  dns.lookup(host, { all: true }, (error, found) => settled(error, error ? [] : found.map(entry => entry.address)))
}

export function addressesOf(host: string, resolveMs: number, lookup: Lookup = systemLookup): Addresses {
  if (net.isIP(host)) {
    return { count: 1, next: () => host, ready: settled => settled(null) }
  }
  let known: readonly string[] = []
  let turn = 0
  let askedAt = Number.NEGATIVE_INFINITY
  let asking = false
  let waiting: ((error: Error | null) => void)[] = []
  const ask = () => {
    if (asking) return
    asking = true
    lookup(host, (error, found) => {
      asking = false
      askedAt = performance.now()
      if (found.length > 0) known = found
      const settled = waiting
      waiting = []
      const failure = known.length > 0 ? null : (error ?? new Error('the name has no address'))
      for (const each of settled) each(failure)
    })
  }
  return {
    get count() {
      return known.length
    },
    next() {
      if (known.length === 0) return null
      turn = (turn + 1) % known.length
      return known[turn] as string
    },
    ready(settled) {
      const stale = performance.now() - askedAt > resolveMs
      if (known.length > 0) {
        if (stale) ask()
        settled(null)
        return
      }
      waiting.push(settled)
      ask()
    },
  }
}
