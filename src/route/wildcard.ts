/**
 * Text with stars, each of which stands for any run of characters, matched in time in proportion to text and pattern
 * together. No regular expression: `a*b*c` as one backtracks, and its cost grows with a power of the text's length.
 *
 * Why this is linear: the text must begin with the first literal and end with the last, without the two overlapping.
 * Each literal between is taken at the first place behind the one before, which never loses a match, since whatever a
 * later place would leave for the rest, the first place leaves as well. So nothing is tried twice, and each search is one
 * of Knuth, Morris and Pratt's, which never goes back in the text. The counted proof is test/unit/linear-work.test.ts.
 */

type Wildcard = {
  readonly first: string
  readonly middle: readonly Literal[]
  readonly last: string
  /** Without a star the text must be `first` */
  readonly exact: boolean
}

type Literal = {
  readonly text: string
  /** For each prefix, the length of the longest proper prefix that it ends with */
  readonly fallback: Uint16Array
}

export function compileWildcard(pattern: string): Wildcard {
  const literals = pattern.split('*')
  const last = literals.length > 1 ? (literals.pop() as string) : ''
  const [first = '', ...middle] = literals
  return {
    first,
    middle: middle.filter(text => text !== '').map(text => ({ text, fallback: fallbackOf(text) })),
    last,
    exact: !pattern.includes('*'),
  }
}

/** Whether `text[from, to)` matches. */
export function matchesWildcard({ first, middle, last, exact }: Wildcard, text: string, from: number, to: number) {
  if (exact) return to - from === first.length && text.startsWith(first, from)
  const end = to - last.length
  let at = from + first.length
  if (at > end || !text.startsWith(first, from) || !text.startsWith(last, end)) return false
  for (const literal of middle) {
    at = endOf(literal, text, at, end)
    if (at < 0) return false
  }
  return true
}

/** The same, and what each star took is put behind `taken`. A pattern without two stars beside each other is expected. */
export function captureWildcard(
  wildcard: Wildcard,
  text: string,
  from: number,
  to: number,
  taken: string[],
): boolean {
  if (!matchesWildcard(wildcard, text, from, to)) return false
  if (wildcard.exact) return true
  const end = to - wildcard.last.length
  let at = from + wildcard.first.length
  for (const literal of wildcard.middle) {
    const next = endOf(literal, text, at, end)
    taken.push(text.slice(at, next - literal.text.length))
    at = next
  }
  taken.push(text.slice(at, end))
  return true
}

/** Where the first occurrence in `text[from, to)` ends, or -1. */
function endOf({ text: wanted, fallback }: Literal, text: string, from: number, to: number): number {
  let matched = 0
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at)
    while (matched > 0 && wanted.charCodeAt(matched) !== code) matched = fallback[matched - 1] as number
    if (wanted.charCodeAt(matched) === code) matched++
    if (matched === wanted.length) return at + 1
  }
  return -1
}

function fallbackOf(text: string): Uint16Array {
  const fallback = new Uint16Array(text.length)
  for (let at = 1, matched = 0; at < text.length; at++) {
    while (matched > 0 && text[matched] !== text[at]) matched = fallback[matched - 1] as number
    if (text[matched] === text[at]) matched++
    fallback[at] = matched
  }
  return fallback
}
