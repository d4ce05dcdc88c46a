/** Reads the public test vectors in test/vectors. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'

const folder = path.resolve(import.meta.dirname, '../vectors')

/** A ClientHello that a real client sent, as a handshake message in hex without its record header. */
export type HelloVector = {
  readonly ja3: string
  readonly ja3_full: string
  readonly ja4: string
  readonly ja4_r: string
  readonly clienthello: string
}

export const helloVectors: readonly HelloVector[] = JSON.parse(
  readFileSync(path.join(folder, 'ja4/client-hellos.json'), 'utf8'),
)

export type LlhttpCase = {
  readonly name: string
  readonly kind: 'request' | 'response'
  /** Accepted by llhttp only when it is told to be lenient */
  readonly lenient: boolean
  readonly input: Buffer
  /** Not the pauses (21, 22): at an upgrade or CONNECT llhttp stops because the protocol changes */
  readonly error: boolean
}

/** The cases of llhttp's Markdown files: a `http` block is the input, the `log` block after it what the parser says. */
export function llhttpCases(): LlhttpCase[] {
  const root = path.join(folder, 'http1-llhttp')
  const cases: LlhttpCase[] = []
  for (const kind of ['request', 'response'] as const) {
    for (const file of readdirSync(path.join(root, kind)).sort()) {
      const text = readFileSync(path.join(root, kind, file), 'utf8')
      let title = ''
      let meta = ''
      for (const found of text.matchAll(
        /^#+ (.*)$|<!-- meta=(.*?) -->|```http\n([\s\S]*?)```\s*\n```log\n([\s\S]*?)```/gm,
      )) {
        if (found[1] !== undefined) title = found[1]
        else if (found[2] !== undefined) meta = found[2]
        else {
          const lenient = meta.includes('lenient')
          const input = unescaped(found[3] as string)
          cases.push({
            name: `${kind}/${file}: ${title} (${cases.length})`,
            kind,
            lenient,
            input,
            error: / error code=(?!2[12]\b)/.test(found[4] as string),
          })
        }
      }
    }
  }
  return cases
}

/** As llhttp's own runner reads a block: lines end in CRLF, a backslash joins lines, and the usual escapes count. */
function unescaped(block: string): Buffer {
  const text = block
    .replace(/\n$/, '')
    .replace(/\\\n/g, '')
    .replace(/\n/g, '\r\n')
    .replace(/\\r/g, '\r')
    .replace(/\\n/g, '\n')
    .replace(/\\t/g, '\t')
    .replace(/\\f/g, '\f')
    .replace(/\\x([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(text, 'latin1')
}

export type DesyncCase = { readonly name: string; readonly input: Buffer }

/** Requests of one danger class of http-desync-guardian, as bytes, with a body that fits a good length of theirs. */
export function desyncCases(tier: 'severe' | 'acceptable' | 'rfc-compliant'): DesyncCase[] {
  const file = path.join(folder, 'http1-desync', `${tier}.yaml`)
  type Row = {
    name: string
    uri: string
    method: string
    version: string
    headers: { name: string; value: unknown }[] | null
  }
  const rows = parse(readFileSync(file, 'utf8'), { strict: false, uniqueKeys: false }) as Row[]
  return rows.map(row => {
    const fields = row.headers ?? []
    const host = fields.some(field => /^host$/i.test(String(field.name))) ? '' : 'Host: localhost\r\n'
    const lines = fields.map(field => `${field.name}: ${field.value ?? ''}\r\n`).join('')
    return {
      name: row.name,
      input: Buffer.from(`${row.method} ${row.uri} ${row.version}\r\n${host}${lines}\r\n`, 'latin1'),
    }
  })
}

export type HpackStory = {
  readonly name: string
  readonly cases: readonly {
    readonly wire: Buffer
    readonly tableSize: number
    readonly headers: readonly (readonly [string, string])[]
  }[]
}

/** Stories by the encoder that wrote them. A story is one connection: one decoder reads all of its cases. */
export function hpackStories(): { readonly encoder: string; readonly stories: readonly HpackStory[] }[] {
  const root = path.join(folder, 'hpack')
  type Raw = { wire: string; header_table_size?: number; headers: Record<string, string>[] }
  return readdirSync(root, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name: encoder }) => ({
      encoder,
      stories: readdirSync(path.join(root, encoder))
        .filter(name => name.endsWith('.json'))
        .sort()
        .map(name => {
          const { cases } = JSON.parse(readFileSync(path.join(root, encoder, name), 'utf8')) as { cases: Raw[] }
          return {
            name,
            cases: cases.map(one => ({
              wire: Buffer.from(one.wire, 'hex'),
              tableSize: one.header_table_size ?? 4096,
              headers: one.headers.map(pair => Object.entries(pair)[0] as [string, string]),
            })),
          }
        }),
    }))
}
