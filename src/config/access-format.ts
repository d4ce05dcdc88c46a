/** `log.access.format`: `json`, the name of a common format, or a template of its own. */
import { type LineFormat, type LinePart, namedFormats } from '../observe/access/format.ts'
import { logVariable, logVariables } from '../observe/access/values.ts'
import type { Formed } from './engine/forms.ts'
import { didYouMean } from './engine/nearest.ts'

const mostCharacters = 4_096

export function accessFormat(text: string): Formed<LineFormat> {
  if (text === 'json') return { ok: { kind: 'json' } }
  if (Object.hasOwn(namedFormats, text)) return lineTemplate(namedFormats[text] as string)
  if (!text.includes('{')) {
    const names = ['json', ...Object.keys(namedFormats)]
    const hint = didYouMean(text, names) ?? 'a template has values in it, as in {request.method}'
    return { wrong: `${text} is not a format: there are ${names.join(', ')}, and templates`, hint }
  }
  return lineTemplate(text)
}

function lineTemplate(text: string): Formed<LineFormat> {
  if (text.length > mostCharacters) return { wrong: `a format has at most ${mostCharacters} characters` }
  if (/[\x00-\x1f\x7f]/.test(text)) return { wrong: 'a format is one line, without control characters' }
  const parts: LinePart[] = []
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
    const name = text.slice(at + 1, end)
    const found = logVariable(name)
    if (typeof found === 'string') return { wrong: found }
    if (found === null) {
      const hint = didYouMean(name, Object.keys(logVariables)) ?? 'docs/access-log.md lists the values'
      return { wrong: `{${name}} is not a value of the access log`, hint }
    }
    if (literal !== '') parts.push(literal)
    literal = ''
    parts.push(found)
    at = end
  }
  if (literal !== '') parts.push(literal)
  return { ok: { kind: 'line', parts } }
}
