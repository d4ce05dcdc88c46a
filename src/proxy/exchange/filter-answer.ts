/**
 * What filters return, checked before it has any effect: configurations in plain JavaScript have no compiler that
 * would find a string in the place of a reply. Everything here throws TypeError, which ends the exchange with a 500
 * and a record that names the filter.
 */
import type { BodyTransform } from '../../model/filter.ts'
import { gatewayNames } from '../../wire/field-names.ts'
import { Fields } from '../../wire/fields.ts'
import { reasonOf } from '../../wire/heads.ts'
import { checkedName } from './filter-fields.ts'
import type { OwnAnswer } from './respond.ts'

/** Of a `Response`: it is read whole before its head leaves, so that its length is known. */
const responseBytesAtMost = 1_048_576
const replyKeys = ['status', 'headers', 'body']
const noBytes = new Uint8Array(0)

/** The body of a `Response` while it is read. */
export type BodyUnderWay = { reader: { cancel(): Promise<void> } | null }

/**
 * From what the request phase returned: null where the exchange goes on.
 * @param body is told of what is read of a `Response`, so that whoever ends the exchange can end that too
 */
export function answerOf(returned: unknown, body: BodyUnderWay): OwnAnswer | null | Promise<OwnAnswer | null> {
  return isThenable(returned)
    ? Promise.resolve(returned).then(settled => settledAnswer(settled, body))
    : settledAnswer(returned, body)
}

/** Checks that a phase that may wait returned nothing. */
export function nothingOf(phase: string, returned: unknown): void | Promise<void> {
  if (isThenable(returned)) return Promise.resolve(returned).then(settled => expectNothing(phase, settled))
  expectNothing(phase, returned)
}

/** Checks that a phase that cannot wait returned nothing. */
export function nothingNow(phase: string, returned: unknown): void {
  if (!isThenable(returned)) {
    expectNothing(phase, returned)
    return
  }
  // The error is this promise, whatever becomes of it: its rejection must not end the process.
  returned.then(undefined, () => {})
  throw new TypeError(`${phase} returned a promise: this phase cannot wait`)
}

/** What a filter does with a body, or null where it leaves it as it is. */
export function transformOf(phase: string, returned: unknown): BodyTransform | null {
  if (returned === undefined || returned === null) return null
  if (isThenable(returned)) {
    returned.then(undefined, () => {})
    throw new TypeError(`${phase} returned a promise: this phase cannot wait, its transform can`)
  }
  const { chunk, end } = returned as Partial<BodyTransform>
  if (typeof chunk !== 'function' || (end !== undefined && typeof end !== 'function'))
    throw new TypeError(`${phase} returned ${shown(returned)}: it takes nothing, or { chunk(bytes), end() }`)
  return returned as BodyTransform
}

/** What a transform gives in the place of a piece. */
export function bodyOutput(returned: unknown): Buffer | null | Promise<Buffer | null> {
  return isThenable(returned) ? Promise.resolve(returned).then(pieceOf) : pieceOf(returned)
}

function pieceOf(given: unknown): Buffer | null {
  if (given === undefined || given === null) return null
  if (typeof given === 'string') return Buffer.from(given)
  if (given instanceof Uint8Array) return Buffer.from(given.buffer, given.byteOffset, given.length)
  throw new TypeError(`the transform returned ${shown(given)}: it takes a Uint8Array, a string or nothing`)
}

/** A status for an answer with content or without. Throws TypeError on one that ends no exchange. */
export function checkedStatus(status: unknown): number {
  if (typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599) return status
  throw new TypeError(`the status is ${shown(status)}: it must be an integer from 200 to 599`)
}

/** RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5 */
export const statusWithoutBody = (status: number): boolean => status === 204 || status === 205 || status === 304

function expectNothing(phase: string, returned: unknown): void {
  if (returned !== undefined && returned !== null)
    throw new TypeError(`${phase} returned ${shown(returned)}: this phase returns nothing`)
}

function settledAnswer(returned: unknown, under: BodyUnderWay): OwnAnswer | null | Promise<OwnAnswer> {
  if (returned === undefined || returned === null) return null
  if (returned instanceof Response) return responseAnswer(returned, under)
  if (typeof returned !== 'object' || Array.isArray(returned)) {
    throw new TypeError(
      `request returned ${shown(returned)}: it takes nothing, { status, headers, body } or a Response`,
    )
  }
  const odd = Object.keys(returned).find(key => !replyKeys.includes(key))
  if (odd !== undefined) throw new TypeError(`the reply has '${odd}': its keys are status, headers and body`)
  const { status, headers, body } = returned as Record<string, unknown>
  const fields = new Fields('')
  if (headers !== undefined && headers !== null) {
    const prototype = Object.getPrototypeOf(headers)
    if (prototype !== Object.prototype && prototype !== null)
      throw new TypeError(`the reply's headers are ${shown(headers)}: they must be an object of names and values`)
    for (const [name, value] of Object.entries(headers)) fields.set(checkedName(name, value), value as string)
  }
  if (body !== undefined && body !== null && typeof body !== 'string' && !(body instanceof Uint8Array))
    throw new TypeError(`the reply's body is ${shown(body)}: it must be a string or a Uint8Array`)
  return ownAnswer(status, fields, typeof body === 'string' ? Buffer.from(body) : (body ?? noBytes))
}

async function responseAnswer(response: Response, under: BodyUnderWay): Promise<OwnAnswer> {
  checkedStatus(response.status)
  if (response.bodyUsed || response.body?.locked) throw new TypeError('the body of the Response was read already')
  // What `fetch` gives was decoded: its codings are no longer those of the body.
  const fetched = response.url !== ''
  const fields = new Fields('')
  for (const [name, value] of response.headers) {
    // It is framed anew, so that what framed it where it came from says nothing here.
    if (gatewayNames.has(name) || (fetched && name === 'content-encoding')) continue
    fields.append(name, value)
  }
  return ownAnswer(response.status, fields, response.body === null ? noBytes : await bytesOf(response.body, under))
}

async function bytesOf(body: ReadableStream<Uint8Array>, under: BodyUnderWay): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = body.getReader()
  under.reader = reader
  for (;;) {
    const { done, value } = await reader.read()
    if (done) {
      under.reader = null
      return Buffer.concat(chunks, length)
    }
    length += value.length
    if (length > responseBytesAtMost) {
      reader.cancel().catch(() => {})
      throw new TypeError(`the body of the Response is over ${responseBytesAtMost} bytes: let a backend serve it`)
    }
    chunks.push(value)
  }
}

function ownAnswer(given: unknown, fields: Fields, body: Uint8Array): OwnAnswer {
  const status = checkedStatus(given)
  if (body.length > 0 && statusWithoutBody(status)) throw new TypeError(`a ${status} has no body`)
  const length = status === 204 || status === 304 ? -1 : body.length
  return { status, reason: reasonOf(status), text: fields.text, length, body }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    const name = value.constructor?.name ?? 'Object'
    return name === 'Object' ? 'an object' : `a value of ${name}`
  }
  const text = String(value)
  return `${text.length > 40 ? `${text.slice(0, 40)}...` : text} (${typeof value})`
}
