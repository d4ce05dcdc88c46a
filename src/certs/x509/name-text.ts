/**
 * Names of certificates (X.501 Name, RFC 5280 section 4.1.2.4) as text: a line for people, and the distinguished name of
 * RFC 4514 that access is decided by.
 *
 * Invariant: two names that differ in their attributes have different distinguished names, whatever their values hold. A
 * CA that lets somebody choose a part of the subject must not thereby let them choose all of it.
 */
import { visible } from '../../base/visible.ts'
import { children, type DerValue, expectTag, read, readOid, tags } from './der.ts'

type Attribute = { readonly id: string; readonly text: string; readonly value: DerValue }

/** RFC 4514 section 3, and what OpenSSL calls the others that people use. */
const attributeNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '1.2.840.113549.1.9.1': 'emailAddress',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
}
const commonNameId = '2.5.4.3'

/** Each RelativeDistinguishedName with its attributes, in the order of the certificate. Throws DerError. */
function namesOf(nameDer: Uint8Array): Attribute[][] {
  return children(read(nameDer, tags.sequence)).map(group =>
    children(group).map(attribute => {
      const [type, value] = children(attribute)
      const found = expectTag(value)
      return { id: readOid(expectTag(type)), text: textOf(found), value: found }
    }),
  )
}

/** BMPString (0x1e) is UTF-16, big-endian; the others are UTF-8 or a part of latin1. */
function textOf({ tag, content }: DerValue): string {
  if (tag === tags.utf8String) return content.toString('utf8')
  const wide = tag === 0x1e && content.length % 2 === 0
  return wide ? Buffer.from(content).swap16().toString('utf16le').toWellFormed() : content.toString('latin1')
}

/**
 * One line for people: `CN=shop.example.com, O=Example`, in the order of the certificate. Control characters, which
 * could forge a log line, come out as escapes. Nothing is escaped: nothing may be decided by it.
 */
export function nameText(nameDer: Uint8Array): string {
  return namesOf(nameDer)
    .flat()
    .map(({ id, text }) => `${attributeNames[id] ?? id}=${visible(text)}`)
    .join(', ')
}

/** RFC 4514: `CN=alice,O=Example`, which begins with the last of the names; several of one set are joined by `+`. */
export function distinguishedName(nameDer: Uint8Array): string {
  return namesOf(nameDer)
    .reverse()
    .map(group => group.map(attributeText).join('+'))
    .join(',')
}

/** The most specific common name, as text without control characters; empty where there is none. */
export function commonNameOf(nameDer: Uint8Array): string {
  const found = namesOf(nameDer).flat()
  const text = found.findLast(({ id }) => id === commonNameId)?.text ?? ''
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}

/** A kind without a name of its own is written as its bytes (section 2.4), which has one spelling only. */
function attributeText({ id, text, value }: Attribute): string {
  const name = attributeNames[id]
  return name === undefined ? `${id}=#${value.raw.toString('hex')}` : `${name}=${escaped(text)}`
}

/** Section 2.4: what has a meaning of its own gets a backslash, at the edges spaces and `#` too; control characters are hex. */
const escaped = (text: string): string =>
  text
    .replace(/[",+;<>\\]/g, '\\$&')
    .replace(/^[ #]| $/g, '\\$&')
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, char =>
      Buffer.from(char).toString('hex').toUpperCase().replace(/../g, '\\$&'),
    )
