/**
 * Whether a request without a file is for a page of an application, which the `fallback` answers: browsers name text/html when
 * they navigate. A client that takes anything gets it too, but not for a name with an ending: a script or an image that is
 * gone must be a 404, which the page that asks for it understands.
 */
import { type Fields, trimBlanks } from '../../wire/fields.ts'

/** @param path as filePath gives it */
export function filesAcceptHtml(fields: Fields, path: string): boolean {
  const accept = fields.getAll('accept').join(',')
  let anything = accept === ''
  let only = true
  for (const element of accept.split(',')) {
    const [range = '', ...parameters] = element.split(';', 4).map(each => trimBlanks(each).toLowerCase())
    if (range === '') continue
    const refused = parameters.some(each => /^q=0(?:\.0{0,3})?$/.test(each))
    if ((range === 'text/html' || range === 'application/xhtml+xml') && !refused) return true
    if (range === '*/*' && !refused) anything = true
    else only = false
  }
  return anything && only && !path.slice(path.lastIndexOf('/') + 1).includes('.')
}
