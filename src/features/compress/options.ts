/** Rows for `compress`: which answers are compressed, and how. */
import type { Formed } from '../../config/engine/forms.ts'
import { kind, shape } from '../../config/engine/kinds.ts'
import { codings } from './codings.ts'

export const defaultTypes = [
  'text/*',
  'application/json',
  'application/*+json',
  'application/javascript',
  'application/xml',
  'application/*+xml',
  'application/wasm',
  'image/svg+xml',
] as const
export const defaultMinBytes = 1024

/** A media type, in lower case; a star stands for the whole subtype, or for what is before its suffix. */
export function mediaType(text: string): Formed<string> {
  if (/^[a-z0-9!#$&^_.+-]+\/(?:\*|(?:\*\+)?[a-z0-9!#$&^_.+-]+)$/i.test(text)) return { ok: text.toLowerCase() }
  return { wrong: `'${text}' is not a media type`, hint: 'write text/html, text/* or application/*+json' }
}

const compressShape = shape({
  name: 'compress',
  docs:
    'Compresses responses for clients that accept it. Responses that are compressed already, partial, or marked `no-transform` stay as they are; ' +
    'see [compression](compression.md), which also says when not to compress (BREACH).',
  rows: {
    types: {
      kind: { type: 'list', of: { type: 'string', form: mediaType, write: 'media type' }, single: true },
      defaultDocs: defaultTypes.map(type => `\`${type}\``).join(', '),
      docs: 'Media types (Content-Type) that are compressed. A star stands for a subtype (`text/*`) or for what is before a suffix (`application/*+json`).',
      example: '[text/*, application/json]',
    },
    min: {
      kind: { type: 'size', min: 0, max: Number.MAX_SAFE_INTEGER },
      default: '1kb',
      docs: 'Responses with a smaller Content-Length stay as they are, unless the client refuses that (`identity;q=0`).',
      example: '4kb',
    },
    level: {
      kind: { type: 'integer', min: 1, max: 6 },
      defaultDocs: '1 for zstd, 3 for br; for gzip 1 on Bun and 2 on Node',
      docs: 'Higher levels make responses smaller and take more CPU time. Streams use at most 1 for zstd and 3 for br, because an encoder takes megabytes at higher levels.',
      example: '4',
    },
    algorithms: {
      kind: { type: 'list', of: { type: 'choice', of: codings }, single: true },
      defaultDocs: '`zstd`, `br`, `gzip`',
      docs: 'Content codings, the preferred one first. The q values of Accept-Encoding come before this order.',
      example: '[br, gzip]',
    },
  },
})

export const compressKind = kind({
  type: 'either',
  text: { type: 'boolean' },
  map: { type: 'object', shape: compressShape },
})
