/**
 * What is kept in storage about a managed certificate: the certificate with its key as one value, so that no reader ever
 * finds half a pair; the order under way, with its key, so that a process killed in between orders nothing twice; the
 * failures so far, so that a gateway in a restart loop does not use up the issuer's rate limits; and what the issuer
 * said about renewal. Each is JSON at a key of its own.
 *
 * A value that cannot be read is set aside for people to look at, never deleted.
 */
import { messageOf } from '../../base/errors.ts'
import type { Bundle } from '../../model/certificate.ts'
import type { RenewalWindow } from '../../model/issuer.ts'
import { type Lease, type Storage, StorageError } from '../../model/storage.ts'
import { parseBundle } from '../files/bundle.ts'

export type ManagedKey = 'ecdsa' | 'rsa'

/** A certificate that is kept current: one name, one kind of key. */
export type SubjectId = { readonly name: string; readonly keyType: ManagedKey }

export type CertificateRecord = {
  readonly chainPem: string
  readonly keyPem: string
  /** Issuer.name */
  readonly issuer: string
  /** Who has issued, where that is a fall-back */
  readonly issuedBy?: string
  /** Milliseconds since 1970, by the clock of who got it */
  readonly obtainedAt: number
}

export type PendingRecord = {
  readonly keyPem: string
  readonly issuer: string
  /** What IssueOrder.progress was last told; null before */
  readonly progress: string | null
  readonly startedAt: number
}

export type FailureRecord = {
  /** In a row */
  readonly count: number
  /** Of the last, milliseconds since 1970 */
  readonly at: number
  /** Not to be tried again before, milliseconds since 1970 */
  readonly nextAt: number
  readonly why: string
}

/** A renewal window with the moment in it that was drawn (RFC 9773 section 4.2), for the certificate with this id. */
export type RenewalRecord = RenewalWindow & { readonly certificateId: string; readonly renewAt: number }

export type Kept = { readonly record: CertificateRecord; readonly bundle: Bundle }

/** Checks that chain and key belong together. Throws UsageError. */
export function bundleOf({ chainPem, keyPem, issuer, issuedBy = issuer }: CertificateRecord): Bundle {
  return parseBundle({ chainPem, keyPem, chainFile: issuedBy, keyFile: issuedBy }).bundle
}

const kinds = { certificates: 0, pending: 0, failures: 0, renewals: 0 }
type Kind = keyof typeof kinds

/** All certificates stand under it. */
export const certificatesPrefix = 'certificates/'

/** `*.example.com` and `ecdsa` to `_wildcard.example.com.ecdsa`. */
export const partOf = ({ name, keyType }: SubjectId): string => `${storedName(name)}.${keyType}`

const storedName = (name: string): string => name.replace(/^\*/, '_wildcard')

/** The other way round; null where it is neither. */
export function idOf(part: string): SubjectId | null {
  const [, name, keyType] = /^(.+)\.(ecdsa|rsa)$/.exec(part) ?? []
  if (name === undefined) return null
  return { name: name.replace(/^_wildcard\./, '*.'), keyType: keyType as ManagedKey }
}

/** Only reads. Null where there is none; throws StorageError, `damaged` too. */
export async function certificateIn(storage: Pick<Storage, 'name' | 'get'>, id: SubjectId): Promise<Kept | null> {
  const key = `${certificatesPrefix}${partOf(id)}`
  const bytes = await storage.get(key)
  try {
    return bytes && keptOf(fieldsOf(bytes))
  } catch (error) {
    throw new StorageError('damaged', `${key} in ${storage.name} is damaged (${messageOf(error)})`, error)
  }
}

/** Reads and writes the records of one managed certificate. */
export class Records {
  private readonly storage: Storage
  private readonly part: string
  private readonly name: string
  private readonly damaged: (text: string) => void

  /** @param damaged told of a value that was set aside */
  constructor(storage: Storage, id: SubjectId, damaged: (text: string) => void) {
    this.storage = storage
    this.part = partOf(id)
    this.name = storedName(id.name)
    this.damaged = damaged
  }

  /** One for all keys of a name: a tls-alpn-01 challenge has one answer for a name, and a second would take its place. */
  lock(): Promise<Lease | null> {
    return this.storage.lock(`orders.${this.name}`)
  }

  async certificate(): Promise<Kept | null> {
    return await this.read('certificates', keptOf)
  }

  pending(): Promise<PendingRecord | null> {
    return this.read('pending', asPending)
  }

  failures(): Promise<FailureRecord | null> {
    return this.read('failures', asFailures)
  }

  renewal(): Promise<RenewalRecord | null> {
    return this.read('renewals', asRenewal)
  }

  putCertificate(record: CertificateRecord, lease: Lease): Promise<void> {
    return this.put('certificates', record, lease)
  }

  putPending(record: PendingRecord, lease: Lease): Promise<void> {
    return this.put('pending', record, lease)
  }

  putFailures(record: FailureRecord, lease?: Lease): Promise<void> {
    return this.put('failures', record, lease)
  }

  putRenewal(record: RenewalRecord): Promise<void> {
    return this.put('renewals', record)
  }

  remove(kind: Kind): Promise<void> {
    return this.storage.delete(this.key(kind))
  }

  private key(kind: Kind): string {
    return `${kind}/${this.part}`
  }

  private async put(kind: Kind, record: object, lease?: Lease): Promise<void> {
    const bytes = Buffer.from(JSON.stringify({ version: 1, ...record }))
    await this.storage.put(this.key(kind), bytes, lease === undefined ? {} : { lease })
  }

  private async read<T>(kind: Kind, parse: (value: Fields) => T): Promise<T | null> {
    const key = this.key(kind)
    try {
      const bytes = await this.storage.get(key)
      return bytes === null ? null : parse(fieldsOf(bytes))
    } catch (error) {
      if (error instanceof StorageError && error.kind !== 'damaged') throw error
      await this.setAside(key, messageOf(error))
      return null
    }
  }

  private async setAside(key: string, why: string): Promise<void> {
    let place: string
    try {
      place = await this.storage.setAside(key)
    } catch (error) {
      // Another process has found it at the same moment.
      if ((await this.storage.get(key)) === null) return
      throw error
    }
    this.damaged(`${key} in ${this.storage.name} is damaged (${why}); it is kept as ${place}`)
  }
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(bytes: Buffer): Fields {
  const value: unknown = JSON.parse(bytes.toString('utf8'))
  if (typeof value !== 'object' || value === null) throw new Error('not an object')
  const fields = value as Fields
  if (fields['version'] !== 1) throw new Error(`version ${String(fields['version'])}, this gateway reads 1`)
  return fields
}

function text(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw new Error(`${name} is missing`)
  return value
}

function number(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`${name} is missing`)
  return value
}

const textOrNull = (fields: Fields, name: string): string | null =>
  fields[name] === null ? null : text(fields, name)

const asCertificate = (fields: Fields): CertificateRecord => ({
  chainPem: text(fields, 'chainPem'),
  keyPem: text(fields, 'keyPem'),
  issuer: text(fields, 'issuer'),
  ...(typeof fields['issuedBy'] === 'string' ? { issuedBy: fields['issuedBy'] } : {}),
  obtainedAt: number(fields, 'obtainedAt'),
})

function keptOf(fields: Fields): Kept {
  const record = asCertificate(fields)
  return { record, bundle: bundleOf(record) }
}

const asPending = (fields: Fields): PendingRecord => ({
  keyPem: text(fields, 'keyPem'),
  issuer: text(fields, 'issuer'),
  progress: textOrNull(fields, 'progress'),
  startedAt: number(fields, 'startedAt'),
})

const asFailures = (fields: Fields): FailureRecord => ({
  count: number(fields, 'count'),
  at: number(fields, 'at'),
  nextAt: number(fields, 'nextAt'),
  why: text(fields, 'why'),
})

const asRenewal = (fields: Fields): RenewalRecord => ({
  certificateId: text(fields, 'certificateId'),
  start: number(fields, 'start'),
  end: number(fields, 'end'),
  renewAt: number(fields, 'renewAt'),
  askAgainAt: number(fields, 'askAgainAt'),
  explanation: textOrNull(fields, 'explanation'),
})
