/** `log.access.format`: `json`, the name of a common format, or a template of its own. */
import { type LineFormat, type LinePart, namedFormats } from '../observe/access/format.ts'
import { logVariable, logVariables, type Variable } from '../observe/access/values.ts'
import type { Formed } from './engine/forms.ts'
import { didYouMean } from './engine/nearest.ts'
import { templateParts } from './engine/template-parts.ts'

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
  const split = templateParts(text)
  if (!('ok' in split)) return split
  const parts: LinePart[] = []
  for (const part of split.ok) {
    const found = typeof part === 'string' ? part : variableOf(part.name)
    if (typeof found !== 'string' && 'wrong' in found) return found
    parts.push(found)
  }
  return { ok: { kind: 'line', parts } }
}

function variableOf(name: string): Variable | { readonly wrong: string; readonly hint?: string } {
  const found = logVariable(name)
  if (typeof found === 'string') return { wrong: found }
  if (found !== null) return found
  const hint = didYouMean(name, Object.keys(logVariables)) ?? 'docs/access-log.md lists the values'
  return { wrong: `{${name}} is not a value of the access log`, hint }
}
