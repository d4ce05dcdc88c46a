/**
 * XMPP until STARTTLS (RFC 6120 section 5): a stream is opened, STARTTLS is its one feature, and required. Inside TLS the client
 * opens another stream, which is the backend's. Of XML no more is read than tags with attributes; comments, entities, other
 * processing instructions and declarations are refused, as XMPP does (section 11.1).
 */
import { Gathered } from '../../base/gathered.ts'
import type { Share } from '../../base/memory-budget.ts'
import {
  closing,
  malformed,
  more,
  pipelined,
  type Refused,
  type Said,
  type StartTlsDialog,
  startTls,
} from './dialog.ts'

const maxTagBytes = 2_000
const maxBytes = 8_000

const tlsNamespace = 'urn:ietf:params:xml:ns:xmpp-tls'
const errorNamespace = 'urn:ietf:params:xml:ns:xmpp-streams'

const space = new Set([0x20, 0x09, 0x0d, 0x0a])
const [lessThan, greaterThan, quote, apostrophe] = [0x3c, 0x3e, 0x22, 0x27]

export class XmppDialog implements StartTlsDialog {
  readonly greeting = ''
  private readonly host: string
  private readonly id: string
  /** Of the tag that is being read, without its brackets */
  private readonly tag: Gathered
  private inTag = false
  /** The quote that ends the attribute value; 0 outside of one */
  private quoted = 0
  private bytes = 0
  private tags = 0
  private open = false
  private startTlsOpen = false

  /** @param id of the stream, which nobody can guess (RFC 6120 section 4.7.3) */
  constructor(host: string, id: string, share: Share | null) {
    this.host = host
    this.id = id
    this.tag = new Gathered(share)
  }

  push(chunk: Buffer): Said {
    let reply = ''
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (++this.bytes > maxBytes) return this.refuse(reply, `more than ${maxBytes} bytes without STARTTLS`)
      if (!this.inTag) {
        if (byte === lessThan) {
          this.inTag = true
          from = at + 1
        } else if (!space.has(byte)) return this.refuse(reply, 'text between the tags')
      } else if (this.quoted !== 0) {
        if (byte === this.quoted) this.quoted = 0
      } else if (byte === quote || byte === apostrophe) this.quoted = byte
      else if (byte === lessThan) return this.refuse(reply, 'a tag within a tag')
      else if (byte === greaterThan) {
        if (this.tag.length + at - from > maxTagBytes)
          return this.refuse(reply, `a tag of more than ${maxTagBytes} bytes`)
        this.inTag = false
        const said = this.take(this.tag.with(chunk.subarray(from, at)).toString('latin1'))
        this.tag.release()
        reply += said.reply
        if (said.next === 'close') return { ...said, reply }
        if (said.next === 'tls')
          return at + 1 === chunk.length
            ? { ...said, reply }
            : pipelined(this.error('policy-violation'), '<starttls/>', chunk.length - at - 1)
      }
    }
    if (this.inTag) {
      if (this.tag.length + chunk.length - from > maxTagBytes)
        return this.refuse(reply, `a tag of more than ${maxTagBytes} bytes`)
      this.tag.append(chunk.subarray(from))
    }
    return more(reply)
  }

  goodbye(): string {
    return this.error('system-shutdown')
  }

  ended(): Refused | null {
    return null
  }

  release(): void {
    this.tag.release()
  }

  private take(tag: string): Said {
    this.tags++
    if (tag.startsWith('?xml ') && tag.endsWith('?') && this.tags === 1) return more()
    if (this.startTlsOpen) return tag === '/starttls' ? this.proceed() : this.refuse('', 'content in <starttls>')
    if (!this.open) {
      if (nameOf(tag) !== 'stream:stream' || tag.endsWith('/'))
        return this.refuse('', 'no <stream:stream> at the beginning')
      this.open = true
      return more(this.header(attributesOf(tag)))
    }
    if (tag === '/stream:stream') return closing('</stream:stream>')
    if (nameOf(tag) !== 'starttls' || attributesOf(tag).get('xmlns') !== tlsNamespace)
      return closing(this.error('policy-violation'), {
        code: 'STARTTLS_REQUIRED',
        why: 'the client sent something other than <starttls/> in cleartext',
      })
    if (tag.endsWith('/')) return this.proceed()
    this.startTlsOpen = true
    return more()
  }

  private proceed(): Said {
    return startTls(`<proceed xmlns='${tlsNamespace}'/>`)
  }

  private header(attributes: ReadonlyMap<string, string>): string {
    const to = attributes.get('to') ?? ''
    const from = /^[A-Za-z0-9.-]{1,255}$/.test(to) ? to : this.host
    const namespace = attributes.get('xmlns') === 'jabber:server' ? 'jabber:server' : 'jabber:client'
    return (
      `<?xml version='1.0'?><stream:stream xmlns='${namespace}' xmlns:stream='http://etherx.jabber.org/streams' ` +
      `id='${this.id}' from='${from}' version='1.0' xml:lang='en'><stream:features>` +
      `<starttls xmlns='${tlsNamespace}'><required/></starttls></stream:features>`
    )
  }

  private refuse(reply: string, why: string): Said {
    return malformed(reply + this.error('not-well-formed'), why)
  }

  private error(name: string): string {
    // Whoever has opened no stream yet gets one, to say it in (section 4.9.1.2).
    const before = this.open ? '' : this.header(new Map())
    this.open = true
    return `${before}<stream:error><${name} xmlns='${errorNamespace}'/></stream:error></stream:stream>`
  }
}

const nameOf = (tag: string): string => /^[\w:]+/.exec(tag)?.[0] ?? ''

function attributesOf(tag: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const [, name, value] of tag.matchAll(/\s([\w:.-]+)=('[^']*'|"[^"]*")/g))
    found.set(name as string, (value as string).slice(1, -1))
  return found
}
