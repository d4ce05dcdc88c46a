/**
 * What a CA has issued and revoked: one small file for each certificate, `issued/SERIAL.json`.
 *
 * Invariants: a record is on the disk before its certificate is handed out, and a revocation before it is answered; each
 * is written whole under another name and renamed, so that a process killed at any moment leaves the old record or the
 * new one. Several processes may do so at once. What cannot be read is never deleted, and counts as revoked: a list that
 * leaves out a revoked certificate would be worse than one that names a good one.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { replaceSynced, syncFolder } from '../../base/durable.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import type { CertificateRecord } from '../../model/authority.ts'

/** A certificate stays on the revocation list until it has ended for this long, and its record for the second. */
const dayMs = 86_400_000
export const listedAfterEndMs = dayMs
const keptAfterEndMs = 30 * dayMs
/** A draft this old belongs to a process that died. */
const staleDraftMs = 600_000

export type Records = {
  /** Throws where the serial number has one already. */
  add(record: CertificateRecord, certificatePem: string): void
  get(serial: string): CertificateRecord | null
  /** Sorted by the time of issue. `damaged` are the serial numbers of files that cannot be read. */
  list(): { readonly records: readonly CertificateRecord[]; readonly damaged: readonly string[] }
  /** @returns false where it is revoked already */
  revoke(serial: string, at: number, reason: number): boolean
  /** Larger with every call, across processes that do not call at the same moment */
  nextCrlNumber(): number
  /** Removes the records of certificates that ended long ago. @returns how many */
  prune(now: number): number
  fileOf(serial: string): string
}

/** @param folder `internal-ca` in the state folder; made where it is not there */
export function openRecords(folder: string): Records {
  const issued = path.join(folder, 'issued')
  const fileOf = (serial: string) => path.join(issued, `${serial}.json`)
  try {
    mkdirSync(issued, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new UsageError(`${issued}: cannot be made: ${messageOf(error)}; is 'state' a folder we may write to?`)
  }
  const load = (serial: string): (CertificateRecord & { certificate: string }) | null => {
    if (!existsSync(fileOf(serial))) return null
    const record = parse(readFileSync(fileOf(serial), 'utf8'), serial)
    if (record === null) throw new UsageError(`${fileOf(serial)}: is damaged; restore it, or remove it`)
    return record
  }
  const serials = () => readdirSync(issued).flatMap(name => /^([0-9a-f]{1,40})\.json$/.exec(name)?.slice(1) ?? [])
  return {
    fileOf,
    add(record, certificatePem) {
      // 'wx' on the final name could leave half a file; the name is ours alone, being 128 random bits.
      if (existsSync(fileOf(record.serial))) throw new Error(`the serial number ${record.serial} is taken`)
      replaceSynced(fileOf(record.serial), text({ ...record, certificate: certificatePem }), 0o600)
    },
    get: load,
    list() {
      const records: CertificateRecord[] = []
      const damaged: string[] = []
      for (const serial of serials()) {
        // Another process may have pruned it meanwhile.
        if (!existsSync(fileOf(serial))) continue
        const record = parse(readFileSync(fileOf(serial), 'utf8'), serial)
        if (record === null) damaged.push(serial)
        else records.push(record)
      }
      records.sort((a, b) => a.notBefore - b.notBefore || (a.serial < b.serial ? -1 : 1))
      return { records, damaged }
    },
    revoke(serial, at, reason) {
      const record = load(serial)
      if (record === null) throw new UsageError(`no certificate with the serial number ${serial} was issued here`)
      if (record.revoked !== null) return false
      replaceSynced(fileOf(serial), text({ ...record, revoked: { at, reason } }), 0o600)
      return true
    },
    nextCrlNumber() {
      const file = path.join(folder, 'crl-number')
      const last = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
      // A clock that was set back, or a lost file, must not make numbers go down: seconds alone, or a count alone, could.
      const next = Math.max(Number.isSafeInteger(last) ? last + 1 : 1, Math.floor(Date.now() / 1000))
      replaceSynced(file, `${next}\n`, 0o600)
      return next
    },
    prune(now) {
      let count = 0
      for (const name of readdirSync(issued)) {
        const file = path.join(issued, name)
        if (name.endsWith('.new')) {
          if (now - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? now) > staleDraftMs)
            rmSync(file, { force: true })
          continue
        }
        const serial = /^([0-9a-f]{1,40})\.json$/.exec(name)?.[1]
        const record = serial === undefined ? null : parse(readFileSync(file, 'utf8'), serial)
        if (record === null || now - record.notAfter < keptAfterEndMs) continue
        rmSync(file, { force: true })
        count++
      }
      if (count > 0) syncFolder(issued)
      return count
    },
  }
}

const text = (record: object): string => `${JSON.stringify(record)}\n`

function parse(content: string, serial: string): (CertificateRecord & { certificate: string }) | null {
  try {
    const value = JSON.parse(content)
    const { names, uris, use, notBefore, notAfter, requester, revoked, certificate } = value
    const texts = (list: unknown) => Array.isArray(list) && list.every(each => typeof each === 'string')
    const whole =
      value.serial === serial &&
      texts(names) &&
      texts(uris) &&
      Array.isArray(use) &&
      use.every(each => each === 'server' || each === 'client') &&
      Number.isFinite(notBefore) &&
      Number.isFinite(notAfter) &&
      typeof requester === 'string' &&
      typeof certificate === 'string' &&
      (revoked === null || (Number.isFinite(revoked?.at) && Number.isInteger(revoked?.reason)))
    return whole ? { serial, names, uris, use, notBefore, notAfter, requester, revoked, certificate } : null
  } catch {
    return null
  }
}
