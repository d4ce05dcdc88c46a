/** Which answers may be compressed, and what compressing does to their fields (RFC 9110 sections 7.7, 8.4, 8.8.3 and 12.5.5). */
import { type Fields, fieldNames, trimBlanks } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import type { MediaTypes } from './media-types.ts'

/** Digests are of the bytes that the backend sent: whoever checks them must get those. */
const untouched = fieldNames(['content-encoding', 'content-digest', 'repr-digest', 'digest', 'content-md5'])
const contentRange = fieldNames(['content-range'])
const cacheControl = fieldNames(['cache-control'])
const tags = fieldNames(['etag'])
const vary = fieldNames(['vary'])
const replaced = fieldNames(['etag', 'accept-ranges'])
const added = fieldNames(['etag', 'vary', 'content-encoding']).bits

/** Whether it may be compressed, for a client that accepts it. */
export function isCompressible({ status, fields, contentLength }: ResponseHead, types: MediaTypes): boolean {
  if (status < 200 || withoutWhole.has(status) || contentLength === 0) return false
  return !fields.hasAny(contentRange) && isOfTypes(fields, types)
}

/** A part of a response that would be compressed as a whole: it has the Vary of that one (RFC 9110 section 15.3.7). */
export const isCompressiblePart = ({ status, fields }: ResponseHead, types: MediaTypes): boolean =>
  status === 206 && isOfTypes(fields, types)

function isOfTypes(fields: Fields, types: MediaTypes): boolean {
  const type = fields.get('content-type')
  if (type === null || !types(type)) return false
  return !fields.hasAny(untouched) && !isNotToTransform(fields)
}

/** No content, a part of it, or none that is spoken of here */
const withoutWhole: ReadonlySet<number> = new Set([204, 205, 206, 304])

/** Of a request as of an answer */
export const isNotToTransform = (fields: Fields): boolean =>
  fields.hasAny(cacheControl) && fields.getAll('cache-control').some(value => hasElement(value, 'no-transform'))

/** The same address gives other bytes to a client that accepts something else. */
export function addVary(fields: Fields): void {
  if (variesAlready(fields)) return
  fields.append('vary', 'accept-encoding')
}

export function markCompressed(fields: Fields, coding: string): void {
  const varies = variesAlready(fields) ? '' : 'vary: accept-encoding\r\n'
  const etag = fields.hasAny(tags) ? fields.get('etag') : null
  fields.replace(replaced, `${etag === null ? '' : weakened(etag)}${varies}content-encoding: ${coding}\r\n`, added)
}

/**
 * A client that holds the compressed answer asks with its weak tag, and the backend names the strong one in its 304: with that
 * no cache would find the answer that it has (RFC 9111 section 4.3.4).
 */
export function weakenConfirmed(answer: Fields, request: Fields): void {
  const etag = answer.get('etag')
  if (etag === null || !etag.startsWith('"')) return
  // A tag may have commas in it, and no quotes.
  const weak = `W/${etag}`
  if (!request.getAll('if-none-match').some(value => value.includes(weak))) return
  answer.replace(tags, weakened(etag), tags.bits)
  addVary(answer)
}

/** The bytes are others than those that a strong tag names. What is no tag at all goes. */
function weakened(etag: string): string {
  if (etag.startsWith('W/"')) return `etag: ${etag}\r\n`
  return etag.startsWith('"') ? `etag: W/${etag}\r\n` : ''
}

const variesAlready = (fields: Fields): boolean =>
  fields.hasAny(vary) &&
  fields.getAll('vary').some(value => hasElement(value, 'accept-encoding') || hasElement(value, '*'))

/** @param wanted in lower case */
const hasElement = (list: string, wanted: string): boolean =>
  list.split(',').some(element => trimBlanks(element).toLowerCase() === wanted)
