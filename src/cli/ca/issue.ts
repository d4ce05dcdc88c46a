/** `sallyport ca issue`: a certificate with a new key, or for somebody's request, into files that are there whole or not at all. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { replaceSynced } from '../../base/durable.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import { internalAuthority } from '../../certs/ca/authority.ts'
import { AuthorityError, type CertificateUse, CsrError, type CsrFields } from '../../model/authority.ts'
import type { Words } from '../argv.ts'
import { print } from '../print.ts'
import { caOf, numberOption, onlyOptions, timeText } from './open.ts'

const mostHours = 8784

export async function issueCertificate(words: Words): Promise<number> {
  onlyOptions(words, 'issue', ['hours', 'csr', 'out', 'client', 'spiffe', 'replace'])
  const [, ...names] = words.rest
  const csrFile = words.options.get('csr')
  const spiffe = words.options.get('spiffe')
  const hours = numberOption(words, 'hours', 24, mostHours)
  const client = words.options.has('client')
  if (spiffe !== undefined && !/^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(spiffe))
    throw new UsageError(`${spiffe} is not a SPIFFE id, as in spiffe://example.org/ns/shop/sa/web`)
  const authority = internalAuthority(await caOf(words))
  const csr = csrFile === undefined ? null : readRequest(csrFile, authority.readCsr)
  const uris = [...new Set([...(csr?.uris ?? []), ...(spiffe === undefined ? [] : [spiffe])])]
  if (csr !== null && names.length > 0)
    throw new UsageError('with --csr the names come from the request; leave them out')
  const wanted = csr?.names ?? names
  if (wanted.length + uris.length === 0)
    throw new UsageError('ca issue needs a name, as in ca issue orders.internal')
  const title = (wanted[0] ?? (uris[0] as string).slice(9)).replace(/^\*/, '_wildcard').replace(/[^\w.-]/g, '_')
  const out = path.resolve(words.options.get('out') ?? '.')
  const chainFile = path.join(out, `${title}.pem`)
  const keyFile = csr === null ? path.join(out, `${title}.key`) : null
  for (const file of words.options.has('replace') ? [] : [chainFile, keyFile]) {
    if (file !== null && existsSync(file))
      throw new UsageError(`${file}: already exists; add --replace, or name another folder with --out`)
  }
  const pair = csr === null ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : null
  const use: CertificateUse[] = client ? ['client'] : ['server']
  const issued = await authority
    .issue({
      publicKey: csr?.publicKey ?? (pair?.publicKey as KeyObject),
      names: wanted,
      uris,
      use,
      lifetimeMs: hours * 3_600_000,
      requester: 'command line',
    })
    .catch(error => {
      throw error instanceof AuthorityError || error instanceof RangeError ? new UsageError(error.message) : error
    })
  try {
    mkdirSync(out, { recursive: true })
    // The key first: a chain without its key is of no use, and looks as if it were.
    if (keyFile !== null && pair !== null)
      replaceSynced(keyFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600)
    replaceSynced(chainFile, issued.chainPem, 0o644)
  } catch (error) {
    throw new UsageError(`${out}: cannot be written: ${messageOf(error)}`)
  }
  const lines = [
    ['certificate', chainFile],
    ...(keyFile === null ? [] : [['key', keyFile]]),
    ['names', [...wanted, ...uris].join(', ')],
    ['for', client ? 'clients (mutual TLS)' : 'servers'],
    ['valid until', `${timeText(issued.notAfter)} (${hours === 1 ? '1 hour' : `${hours} hours`})`],
    ['serial', issued.serial],
  ]
  print(lines.map(([title, value]) => `${(title as string).padEnd(12)} ${value}\n`).join(''))
  return 0
}

function readRequest(file: string, read: (der: Uint8Array) => CsrFields): CsrFields {
  let bytes: Buffer
  try {
    bytes = file === '-' ? readFileSync(0) : readFileSync(file)
  } catch (error) {
    throw new UsageError(`${file}: ${messageOf(error)}`)
  }
  const pem = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([^-]*)-----END/.exec(bytes.toString('latin1'))
  try {
    return read(pem === null ? bytes : Buffer.from(pem[1] as string, 'base64'))
  } catch (error) {
    throw error instanceof CsrError ? new UsageError(`${file}: ${error.message}`) : error
  }
}
