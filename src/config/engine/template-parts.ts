/** Text with `{name}` in it, taken apart: `{{` and `}}` are the braces themselves. What the names mean is for its reader. */
import type { Formed } from './forms.ts'

/** Text, or a name */
type TemplatePart = string | { readonly name: string }

export function templateParts(text: string): Formed<readonly TemplatePart[]> {
  const parts: TemplatePart[] = []
  let literal = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string
    if (char !== '{' && char !== '}') {
      literal += char
      continue
    }
    if (text[at + 1] === char) {
      literal += char
      at++
      continue
    }
    const end = char === '{' ? text.indexOf('}', at) : -1
    if (end < 0)
      return {
        wrong: `${text}: a ${char} without its counterpart`,
        hint: `a ${char} itself is written ${char}${char}`,
      }
    if (literal !== '') parts.push(literal)
    literal = ''
    parts.push({ name: text.slice(at + 1, end) })
    at = end
  }
  if (literal !== '') parts.push(literal)
  return { ok: parts }
}
