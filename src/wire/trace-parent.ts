/**
 * `traceparent` of W3C Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header): which trace a request belongs to,
 * and which span of the client's has sent it. A value that breaks the rules there counts as none.
 */

export type TraceParent = {
  /** 32 digits in lower-case hex */
  readonly traceId: string
  /** 16 digits in lower-case hex */
  readonly parentId: string
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[\x21-\x7e]*)?$/
const noTrace = '0'.repeat(32)
const noParent = '0'.repeat(16)

export function parseTraceParent(text: string): TraceParent | null {
  // Later versions may add fields behind those of version 00, and ff is none.
  if (text.length > 512) return null
  const [, version, traceId = '', parentId = '', more] = form.exec(text) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null
  if (traceId === noTrace || parentId === noParent) return null
  return { traceId, parentId }
}
