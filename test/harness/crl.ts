/** Revocation lists of every kind, signed by a test's CA: also those that no gateway should take. */
import { sign, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import * as der from '../../src/certs/x509/der.ts'
import { extension } from '../../src/certs/x509/x509-build.ts'
import { type TestCa, temporaryFolder } from './certificates.ts'

const dayMs = 86_400_000

export type CrlOptions = {
  readonly number?: number
  /** Days from now */
  readonly begins?: number
  readonly ends?: number
  readonly extensions?: readonly Buffer[]
  /** Of each entry */
  readonly entryExtensions?: readonly Buffer[]
  /** The entries as they are, in place of those of `revoked` */
  readonly entries?: Buffer
  readonly unsigned?: boolean
}

/** @param revoked PEM */
export function crlOf(ca: TestCa, revoked: readonly string[], options: CrlOptions = {}): Buffer {
  const algorithm = der.sequence(der.oid('1.2.840.10045.4.3.2'))
  const now = Date.now()
  const { number, begins = -1, ends = 1, entryExtensions = [] } = options
  const entries = revoked.map(pem =>
    der.sequence(
      der.integer(Buffer.from(new X509Certificate(pem).serialNumber, 'hex')),
      der.time(now - dayMs),
      ...(entryExtensions.length > 0 ? [der.sequence(...entryExtensions)] : []),
    ),
  )
  const extensions = [...(options.extensions ?? [])]
  if (number !== undefined) extensions.push(extension('2.5.29.20', false, der.integer(number)))
  const body = options.entries ?? Buffer.concat(entries)
  const list = der.sequence(
    der.integer(1),
    algorithm,
    ca.subjectDer,
    der.time(now + begins * dayMs),
    der.time(now + ends * dayMs),
    ...(body.length > 0 ? [der.encode(0x30, body)] : []),
    ...(extensions.length > 0 ? [der.explicit(0, der.sequence(...extensions))] : []),
  )
  const signature = options.unsigned === true ? Buffer.alloc(64) : sign('sha256', list, ca.key)
  return der.sequence(list, algorithm, der.bitString(signature))
}

/** issuingDistributionPoint, critical. @param flags context tags of what is TRUE */
export function issuingPoint(flags: readonly number[], urls: readonly string[] = []): Buffer {
  const names = urls.map(url => der.implicit(6, Buffer.from(url)))
  const point = names.length === 0 ? [] : [der.explicit(0, der.explicit(0, Buffer.concat(names)))]
  const set = flags.map(flag => der.implicit(flag, flag === 3 ? Buffer.from([6, 0x40]) : Buffer.from([0xff])))
  return extension('2.5.29.28', true, der.sequence(...point, ...set))
}

/** cRLDistributionPoints of a certificate */
export const distributionPoint = (url: string): Buffer =>
  extension(
    '2.5.29.31',
    false,
    der.sequence(der.sequence(der.explicit(0, der.explicit(0, der.implicit(6, Buffer.from(url)))))),
  )

export function crlFileOf(bytes: Uint8Array): string {
  const file = path.join(temporaryFolder(), 'list.crl')
  writeFileSync(file, bytes)
  return file
}
