/** The media types of the configuration, compiled: looking one up takes the same time however many there are. */
import { trimBlanks } from '../../wire/fields.ts'

export type MediaTypes = (contentType: string) => boolean

/** @param types as options.ts has read them: `text/html`, `text/*`, `application/*+json` */
export function compileTypes(types: readonly string[]): MediaTypes {
  const wanted: ReadonlySet<string> = new Set(types)
  return contentType => {
    const type = essenceOf(contentType)
    // A call of gRPC has frames that its own peer compresses.
    if (type.startsWith('application/grpc')) return false
    const slash = type.indexOf('/')
    if (slash < 0) return false
    if (wanted.has(type)) return true
    const family = type.slice(0, slash + 1)
    if (wanted.has(`${family}*`)) return true
    const suffix = type.lastIndexOf('+')
    return suffix > slash && wanted.has(`${family}*${type.slice(suffix)}`)
  }
}

function essenceOf(contentType: string): string {
  const semicolon = contentType.indexOf(';')
  return trimBlanks(semicolon < 0 ? contentType : contentType.slice(0, semicolon)).toLowerCase()
}
