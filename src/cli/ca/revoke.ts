/** `sallyport ca list`, `revoke` and `crl`: what was issued, taking it back, and saying so to whoever checks. */
import path from 'node:path'
import { replaceSynced } from '../../base/durable.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import { internalAuthority } from '../../certs/ca/authority.ts'
import type { Records } from '../../certs/ca/issued-records.ts'
import { shellQuote } from '../../certs/files/pem.ts'
import { type ReasonName, reasons } from '../../certs/x509/crl-build.ts'
import { nearest } from '../../config/engine/nearest.ts'
import type { CertificateRecord } from '../../model/authority.ts'
import type { Words } from '../argv.ts'
import { print, printError } from '../print.ts'
import { caOf, numberOption, onlyOptions, timeText } from './open.ts'

export async function listIssued(words: Words): Promise<number> {
  onlyOptions(words, 'list', ['json'])
  const { records } = internalAuthority(await caOf(words))
  const { records: all, damaged } = records.list()
  for (const serial of damaged) warnDamaged(records, serial)
  const now = Date.now()
  if (words.options.has('json')) {
    const rows = all.map(record => ({
      ...record,
      state: stateOf(record, now),
      notBefore: new Date(record.notBefore).toISOString(),
      notAfter: new Date(record.notAfter).toISOString(),
      revoked:
        record.revoked === null
          ? null
          : { at: new Date(record.revoked.at).toISOString(), reason: reasonName(record.revoked.reason) },
    }))
    print(`${JSON.stringify(rows, null, 2)}\n`)
    return 0
  }
  if (all.length === 0) {
    print('nothing was issued yet; sallyport ca issue NAME\n')
    return 0
  }
  const cells = [
    ['NAMES', 'FOR', 'STATE', 'ENDS', 'ASKED BY', 'SERIAL'],
    ...all
      .toReversed()
      .map(record => [
        namesText([...record.names, ...record.uris]),
        record.use.join(', '),
        stateOf(record, now),
        timeText(record.notAfter),
        record.requester,
        record.serial,
      ]),
  ]
  const widths = (cells[0] as string[]).map((_, at) => Math.max(...cells.map(row => (row[at] as string).length)))
  const lines = cells.map(row =>
    row
      .map((cell, at) => cell.padEnd(widths[at] as number))
      .join('  ')
      .trimEnd(),
  )
  print(`${lines.join('\n')}\n`)
  return 0
}

function namesText(names: readonly string[]): string {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return `${names.slice(0, 3).join(', ')}${more}`
}

function stateOf({ revoked, notAfter }: CertificateRecord, now: number): string {
  if (revoked !== null) return `revoked: ${reasonName(revoked.reason)}`
  if (now > notAfter) return 'ended'
  const hours = Math.floor((notAfter - now) / 3_600_000)
  const left =
    hours < 1
      ? `${Math.ceil((notAfter - now) / 60_000)} minutes`
      : hours < 72
        ? `${hours} hours`
        : `${Math.floor(hours / 24)} days`
  return `${left} left`
}

const reasonName = (reason: number): string =>
  Object.entries(reasons).find(([, value]) => value === reason)?.[0] ?? String(reason)

const warnDamaged = (records: Records, serial: string) =>
  printError(
    `${records.fileOf(serial)}: is damaged; the certificate counts as revoked until the file is restored, or taken away\n`,
  )

export async function revokeCertificate(words: Words): Promise<number> {
  onlyOptions(words, 'revoke', ['reason'])
  const [, what, more] = words.rest
  if (what === undefined || more !== undefined)
    throw new UsageError('ca revoke needs one serial number or name; sallyport ca list has them')
  const word = words.options.get('reason') ?? 'unspecified'
  if (!Object.hasOwn(reasons, word)) {
    const close = nearest(word, Object.keys(reasons))
    const hint = close === null ? `there are ${Object.keys(reasons).join(', ')}` : `did you mean ${close}?`
    throw new UsageError(`there is no reason ${word}; ${hint}`)
  }
  const authority = internalAuthority(await caOf(words))
  const now = Date.now()
  const { records: all } = authority.records.list()
  const serial = what
    .replaceAll(':', '')
    .toLowerCase()
    .replace(/^0+(?=.)/, '')
  const bySerial = all.filter(record => record.serial === serial)
  const byName = all.filter(
    ({ names, uris, notAfter, revoked }) =>
      revoked === null && notAfter >= now && [...names, ...uris].includes(what.toLowerCase()),
  )
  const found = bySerial.length > 0 ? bySerial : byName
  if (found.length === 0)
    throw new UsageError(
      `no valid certificate has the serial number or name ${what}; sallyport ca list shows all of them`,
    )
  for (const record of found) {
    const done = await authority.revoke(record.serial, reasons[word as ReasonName])
    const names = namesText([...record.names, ...record.uris])
    print(`${done ? 'revoked' : 'was revoked before:'} ${record.serial} (${names})\n`)
  }
  print(`Clients and servers learn of it from the next revocation list: sallyport ca crl --out FILE\n`)
  return 0
}

const mostHours = 24 * 366

export async function writeCrl(words: Words): Promise<number> {
  onlyOptions(words, 'crl', ['out', 'hours', 'der'])
  const out = words.options.get('out')
  const hours = numberOption(words, 'hours', 7 * 24, mostHours)
  const authority = internalAuthority(await caOf(words))
  authority.records.prune(Date.now())
  const list = authority.crl(hours * 3_600_000)
  for (const serial of list.damaged) warnDamaged(authority.records, serial)
  const content = words.options.has('der') ? list.der : list.pem
  if (out === undefined) {
    print(content)
    return 0
  }
  const file = path.resolve(out)
  try {
    replaceSynced(file, content, 0o644)
  } catch (error) {
    throw new UsageError(`${file}: cannot be written: ${messageOf(error)}`)
  }
  const count = list.count === 1 ? '1 certificate' : `${list.count} certificates`
  // A CA is asked for by those who verify a chain, and the one that signs by those who look for the issuer of the list.
  const root = authority.ca.rootFile ?? 'ROOT.pem'
  const cas = [root, authority.ca.chainFile].map(shellQuote).join(', ')
  print(`${file}: list ${list.number}, ${count} revoked, holds until ${timeText(list.nextUpdate)}

Make a new one before then, and after every ca revoke. The gateway checks clients by it:
  clients: { ca: [${cas}], crl: ${shellQuote(file)} }
`)
  return 0
}
