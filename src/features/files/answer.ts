/** The answer to a request for a file that was found: its status, its head, and which bytes of the file follow. */
import { randomBytes } from 'node:crypto'
import type { FileFacts } from '../../model/small-file.ts'
import { ownHead } from '../../proxy/exchange/respond.ts'
import { type RequestHead, type ResponseHead, reasonOf } from '../../wire/heads.ts'
import { conditionStatus, rangeCounts } from './conditions.ts'
import { parseRanges, type Range } from './ranges.ts'

/** Bytes of the file, not including `to`, behind some text of our own. */
export type Part = Range & { readonly text: Buffer | null }

type FileAnswer = {
  readonly head: ResponseHead
  readonly bodyless: boolean
  /** In order; what is behind the last of them is in a part without bytes of the file */
  readonly parts: readonly Part[]
}

const nothing: readonly Part[] = []

/** @param more field lines that are not the file's own */
export function answerFor({ method, fields }: RequestHead, facts: FileFacts, more: string): FileAnswer {
  const { size } = facts.stamp
  const status = conditionStatus(fields, facts)
  if (status === 304) return without(304, facts.unchangedLines + more, -1)
  if (status === 412) return without(412, facts.unchangedLines + more, 0)
  const asked = method === 'GET' ? fields.getAll('range') : []
  const ranges = asked.length === 1 && rangeCounts(fields, facts) ? parseRanges(asked[0] as string, size) : 'none'
  if (ranges === 'unsatisfiable')
    return without(416, `content-range: bytes */${size}\r\n${facts.unchangedLines}${more}`, 0)
  const lines = facts.lines + more
  if (ranges === 'none') {
    const bodyless = method === 'HEAD'
    const parts = bodyless || size === 0 ? nothing : [{ from: 0, to: size, text: null }]
    return { head: ownHead(200, 'OK', lines, size), bodyless, parts }
  }
  if (ranges.length > 1) return multipart(ranges, lines, facts)
  const { from, to } = ranges[0] as Range
  const text = `${lines}content-range: bytes ${from}-${to - 1}/${size}\r\n`
  return { head: ownHead(206, reasonOf(206), text, to - from), bodyless: false, parts: [{ from, to, text: null }] }
}

/** Several ranges (RFC 9110 section 14.6): each has its place in a head of its own. */
function multipart(ranges: readonly Range[], lines: string, { type, stamp }: FileFacts): FileAnswer {
  const boundary = randomBytes(15).toString('base64url')
  const parts: Part[] = ranges.map(({ from, to }, at) => ({
    from,
    to,
    text: Buffer.from(
      `${at === 0 ? '' : '\r\n'}--${boundary}\r\ncontent-type: ${type}\r\n` +
        `content-range: bytes ${from}-${to - 1}/${stamp.size}\r\n\r\n`,
    ),
  }))
  parts.push({ from: 0, to: 0, text: Buffer.from(`\r\n--${boundary}--\r\n`) })
  const length = parts.reduce((sum, { from, to, text }) => sum + (text?.length ?? 0) + to - from, 0)
  const head = ownHead(206, reasonOf(206), lines, length)
  head.fields.set('content-type', `multipart/byteranges; boundary=${boundary}`)
  return { head, bodyless: false, parts }
}

const without = (status: number, lines: string, length: number): FileAnswer => ({
  head: ownHead(status, reasonOf(status), lines, length),
  bodyless: status === 304,
  parts: nothing,
})
