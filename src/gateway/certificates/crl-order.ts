/**
 * Which revocation lists count when new ones arrive: neither an attacker on the path nor a copy from a backup may replace a newer list
 * by an older one. They are compared by number (RFC 5280 section 5.2.3) or, without one, by date.
 */
import { type Crl, crlText } from '../../certs/x509/crl.ts'

/** @param omitted what happens to a current list that is not among the new ones */
export function renewLists(
  current: readonly Crl[],
  fresh: readonly Crl[],
  omitted: 'stays' | 'goes',
  now: number,
): { readonly lists: readonly Crl[]; readonly refused: readonly string[] } {
  const refused: string[] = []
  const lists = fresh.map(next => {
    const held = current.filter(known => sameList(known, next) && known.nextUpdate >= now && isOlder(next, known))
    const newest = held.reduce<Crl | null>(
      (best, each) => (best === null || isOlder(best, each) ? each : best),
      null,
    )
    if (newest === null) return next
    refused.push(`${crlText(next)} is older than ${crlText(newest)}, which stays in use`)
    return newest
  })
  if (omitted === 'goes') return { lists: [...new Set(lists)], refused }
  // Expired ones too: leaving out a list must not turn into "no list of that CA". A newer list of the same CA may replace it, for
  // example if the CA signs with another key now.
  const left = current.filter(
    known => !lists.some(next => next.issuerDer.equals(known.issuerDer) && next.thisUpdate >= known.thisUpdate),
  )
  for (const crl of left)
    refused.push(
      `${crlText(crl)} was removed; it stays in use until it expires, and clients are refused after that`,
    )
  return { lists: [...new Set([...lists, ...left])], refused }
}

/** Of the same CA and key, for the same certificates: a CA numbers each such sequence separately. */
function sameList(one: Crl, other: Crl): boolean {
  return (
    one.signer === other.signer &&
    one.issuerDer.equals(other.issuerDer) &&
    one.scope.leavesOnly === other.scope.leavesOnly &&
    one.scope.points?.join() === other.scope.points?.join()
  )
}

function isOlder(one: Crl, than: Crl): boolean {
  const [a, b] = [one.scope.number, than.scope.number]
  if (a !== null && b !== null && a !== b) return a < b
  return one.thisUpdate < than.thisUpdate
}
