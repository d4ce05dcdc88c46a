/**
 * Header fields as filters see them. Filters never write what frames a message or belongs to one connection: such a
 * name throws, for HTTP/1.1 and HTTP/2 alike (RFC 9112 section 6, RFC 9113 section 8.2.2).
 *
 * The request's fields are those that the backend will get, with Host and what says who the client is among them. The
 * gateway writes these itself, so a filter replaces them: the backend never sees two.
 */
import type { FilterHeaders } from '../../model/filter.ts'
import { gatewayNames, identityNames } from '../../wire/field-names.ts'
import { type FieldNames, Fields, fieldNames } from '../../wire/fields.ts'
import type { RequestHead, ResponseHead } from '../../wire/heads.ts'
import { isHost } from '../../wire/host.ts'

/** The parts of an exchange that make up the fields of its request. */
export interface FilteredRequest {
  readonly head: RequestHead
  readonly host: string
  /** The Host field that a filter has set, or null */
  hostField: string | null
  /** The gateway's own fields for the backend, each with its CRLF */
  forwardText: string
}

/** Names of fields that say who the client is, in lower case. */
export const identity: ReadonlySet<string> = new Set(identityNames)

export class RequestFields implements FilterHeaders {
  private readonly request: FilteredRequest

  constructor(request: FilteredRequest) {
    this.request = request
  }

  get(name: string): string | null {
    return this.getAll(name)[0] ?? null
  }

  getAll(name: string): string[] {
    const { head, hostField, host, forwardText } = this.request
    const wanted = name.toLowerCase()
    if (wanted === 'host') return [hostField ?? host].filter(value => value !== '')
    if (wanted === 'content-length') return lengthOf(head)
    return [...head.fields.getAll(wanted), ...new Fields(forwardText).getAll(wanted)]
  }

  has(name: string): boolean {
    return this.getAll(name).length > 0
  }

  set(name: string, value: string): void {
    const wanted = checkedName(name, value)
    if (wanted === 'host') {
      if (!isHost(value)) throw new TypeError(`'${value}' is not a host that a request can have`)
      this.request.hostField = value
      return
    }
    this.request.head.fields.set(wanted, value)
    this.dropOwn(wanted)
  }

  append(name: string, value: string): void {
    const wanted = checkedName(name, value)
    if (wanted === 'host' || identity.has(wanted)) this.set(wanted, value)
    else this.request.head.fields.append(wanted, value)
  }

  delete(name: string): void {
    const wanted = name.toLowerCase()
    if (wanted === 'host') throw new TypeError('a request always has a Host: set another one instead')
    this.request.head.fields.delete(wanted)
    this.dropOwn(wanted)
  }

  *[Symbol.iterator](): Generator<readonly [name: string, value: string]> {
    for (const value of this.getAll('host')) yield ['host', value]
    yield* this.request.head.fields
    yield* new Fields(this.request.forwardText)
  }

  /** Via is the one that a proxy always adds its own to (RFC 9110 section 7.6.3). */
  private dropOwn(name: string): void {
    const { request } = this
    if (name === 'via') return
    dropForwarded(request, fieldNames([name]))
  }
}

/** Takes fields out of those that the gateway itself sends with a request. @param names without `via` */
export function dropForwarded(request: Pick<FilteredRequest, 'forwardText'>, names: FieldNames): void {
  const own = new Fields(request.forwardText)
  own.replace(names, '', 0)
  request.forwardText = own.text
}

export class ResponseFields implements FilterHeaders {
  private readonly head: ResponseHead

  constructor(head: ResponseHead) {
    this.head = head
  }

  get(name: string): string | null {
    return this.getAll(name)[0] ?? null
  }

  getAll(name: string): string[] {
    return name.toLowerCase() === 'content-length' ? lengthOf(this.head) : this.head.fields.getAll(name)
  }

  has(name: string): boolean {
    return this.getAll(name).length > 0
  }

  set(name: string, value: string): void {
    const wanted = checkedName(name, value)
    this.head.fields.set(wanted, value)
    if (wanted === 'date') this.head.dated = true
  }

  append(name: string, value: string): void {
    const wanted = checkedName(name, value)
    this.head.fields.append(wanted, value)
    if (wanted === 'date') this.head.dated = true
  }

  delete(name: string): void {
    this.head.fields.delete(name)
    if (name.toLowerCase() === 'date') this.head.dated = false
  }

  [Symbol.iterator](): Generator<readonly [name: string, value: string]> {
    return this.head.fields[Symbol.iterator]()
  }
}

const lengthOf = ({ chunked, contentLength }: RequestHead | ResponseHead): string[] =>
  chunked || contentLength < 0 ? [] : [`${contentLength}`]

/** The name in lower case. Throws TypeError where a filter, or a reply of one, may not set it. */
export function checkedName(name: unknown, value: unknown): string {
  if (typeof name !== 'string') throw new TypeError(`a header field's name is a string, not ${typeof name}`)
  const wanted = name.toLowerCase()
  if (gatewayNames.has(wanted))
    throw new TypeError(`'${wanted}' is written by the gateway itself: a filter cannot set it`)
  if (typeof value !== 'string')
    throw new TypeError(`the value of '${wanted}' is a string, not ${value === null ? 'null' : typeof value}`)
  return wanted
}
