/** The worst paths, ranges and conditions of requests for files. */
import { filesAcceptHtml } from '../../../src/features/files/accepts-html.ts'
import { conditionStatus } from '../../../src/features/files/conditions.ts'
import { filePath } from '../../../src/features/files/file-path.ts'
import { mediaType } from '../../../src/features/files/media-types.ts'
import { parseRanges } from '../../../src/features/files/ranges.ts'
import { Fields } from '../../../src/wire/fields.ts'
import { parseHttpDate } from '../../../src/wire/http-date.ts'
import { type Worst, worst } from './worst.ts'

const known = { etag: '"aaaaaaaaaaaaaaaa-a"', modifiedMs: 0 }

export const files: readonly Worst[] = [
  worst('src/features/files/file-path.ts', 'a deep path of encoded characters', 4_000, n => {
    const [deep, encoded] = ['/a'.repeat(n / 2), `/${'%C3%BC/'.repeat(n / 7)}`]
    return () => [filePath(deep), filePath(encoded)]
  }),
  worst('src/features/files/ranges.ts', 'ranges without end', 4_000, n => {
    const [empty, short, digits] = [
      `bytes=${','.repeat(n)}`,
      `bytes=${'0-0,'.repeat(n / 4)}`,
      `bytes=${'9'.repeat(n)}-`,
    ]
    return () => [empty, short, digits].map(text => parseRanges(text, 1_000))
  }),
  worst('src/features/files/conditions.ts', 'tags that are nearly the one', 8_000, n => {
    const fields = new Fields(`if-none-match: ${'"aaaaaaaaaaaaaaaa-b",'.repeat(n / 21)}\r\n`)
    const quotes = new Fields(`if-match: ${'"'.repeat(n)}\r\n`)
    return () => [conditionStatus(fields, known), conditionStatus(quotes, known)]
  }),
  worst('src/features/files/accepts-html.ts', 'media ranges and parameters', 4_000, n => {
    const fields = new Fields(`accept: ${'a/b;q=0,'.repeat(n / 16)}${';'.repeat(n / 2)}\r\n`)
    return () => filesAcceptHtml(fields, 'a')
  }),
  worst('src/features/files/media-types.ts', 'a name full of dots', 8_000, n => {
    const name = '.'.repeat(n)
    return () => mediaType(name)
  }),
  worst('src/wire/http-date.ts', 'a date that goes on', 8_000, n => {
    const text = `Sun, 06 Nov 1994 08:49:37 GMT${' '.repeat(n)}`
    return () => parseHttpDate(text)
  }),
]
