/** What `include` takes: a file, or a pattern with stars. */
import type { Formed } from './engine/forms.ts'

export function includePattern(text: string): Formed<string> {
  if (text.trim() === '' || text.includes('\0'))
    return { wrong: 'include names no file', hint: 'as in sites/*.yaml' }
  if (text.includes('**'))
    return {
      wrong: `${text}: ** has no meaning`,
      hint: 'a * stands for any part of one name; write a pattern for each folder',
    }
  if (/\.(ya?ml|json)$/.test(text)) return { ok: text }
  return { wrong: `${text}: an included file is .yaml, .yml or .json`, hint: 'as in sites/*.yaml' }
}
