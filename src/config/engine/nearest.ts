/** "Did you mean": the known word that a misspelled one is closest to. */

/** null where nothing is close enough to be a fair guess. */
export function nearest(word: string, known: Iterable<string>): string | null {
  const wanted = word.toLowerCase()
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(wanted, candidate.toLowerCase(), bestDistance)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  if (best !== null) return best
  // cert for certificate, or passthru for passthrough: far away by edits, but plain to a reader.
  for (const candidate of known) {
    if (sharedStart(wanted, candidate.toLowerCase()) >= Math.max(3, (wanted.length * 2) / 3)) return candidate
  }
  return null
}

function sharedStart(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}

/** As a hint, or undefined. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const best = nearest(word, known)
  return best === null ? undefined : `did you mean ${best}?`
}

/** Insertions, deletions, substitutions and swaps of neighbours; `limit` where it is that or more. */
function editDistance(a: string, b: string, limit: number): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    if (Math.min(...row) >= limit) return limit
    beforeLast = last
    last = row
  }
  return Math.min(last[b.length]!, limit)
}
