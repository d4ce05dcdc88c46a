/** What the YAML library says about a key that is indented wrongly, in words that name the key and where it belongs. */

type Misplaced = { readonly offset: number; readonly message: string; readonly hint: string }

type Key = { readonly name: string; readonly column: number }

/** The key that begins a line, behind any number of `- `. */
function keyOf(line: string): Key | null {
  const found = /^( *(?:- +)*)("[^"]*"|'[^']*'|[^\s"'#[{&*!|>%@`-][^:#]*|-[^\s:#][^:#]*):(?:\s|$)/.exec(line)
  return found === null ? null : { name: found[2] as string, column: (found[1] as string).length }
}

/**
 * @param code of the library's error
 * @param offset where it points
 * @returns null where the error is about something else
 */
export function misplacedKey(text: string, code: string, offset: number): Misplaced | null {
  const inside = code === 'BLOCK_AS_IMPLICIT_KEY'
  if (!inside && code !== 'BAD_INDENT' && code !== 'MISSING_CHAR') return null
  const lines = text.split('\n')
  let at = 0
  let index = 0
  while (index < lines.length - 1 && at + (lines[index] as string).length < offset) {
    at += (lines[index] as string).length + 1
    index++
  }
  // The library points at the value before a key that is too far to the right; the key is on a line behind it.
  if (inside) {
    const first = keyOf(lines[index] as string)
    do {
      at += (lines[index] as string).length + 1
      index++
    } while (index < lines.length && keyOf(lines[index] as string) === null)
    if (first === null || index >= lines.length) return null
  }
  const line = lines[index] as string
  const key = keyOf(line)
  if (key === null) return null
  const levels = openLevels(lines.slice(0, index))
  if (levels.some(({ column }) => column === key.column)) return null
  const places = levels.map(({ name, column }) => `${spaces(column)} put it beside ${name}`)
  if (places.length === 0) return null
  return {
    offset: at + (line.length - line.trimStart().length),
    message: `${key.name} is indented by ${spaces(key.column)}, which matches none of the keys above it`,
    hint: places.slice(0, 3).join(', '),
  }
}

/** The last key at each column that a further line may go on at, the innermost first. */
function openLevels(lines: readonly string[]): Key[] {
  const open: Key[] = []
  for (const line of lines) {
    const key = keyOf(line)
    if (key === null) continue
    while (open.length > 0 && (open.at(-1) as Key).column >= key.column) open.pop()
    open.push(key)
  }
  return open.reverse()
}

const spaces = (count: number): string => `${count} ${count === 1 ? 'space' : 'spaces'}`
