/** `sallyport ca init`: makes root and intermediate, and says what to trust, what to keep and what to do next. */
import { X509Certificate } from 'node:crypto'
import path from 'node:path'
import { UsageError } from '../../base/errors.ts'
import { initInternalCa, openInternalCa } from '../../certs/ca/internal-ca.ts'
import { trustPlaces } from '../../certs/ca/trust.ts'
import { readText, shellQuote } from '../../certs/files/pem.ts'
import { constraintsText } from '../../certs/x509/name-constraints.ts'
import type { Words } from '../argv.ts'
import { print } from '../print.ts'
import { onlyOptions, placeOfCa } from './open.ts'

export async function initCa(words: Words): Promise<number> {
  onlyOptions(words, 'init', ['name', 'names'])
  if (words.rest.length > 1) throw new UsageError(`ca init takes no '${words.rest[1]}'; names go into --names`)
  const { state, own } = await placeOfCa(words)
  if (own !== null)
    throw new UsageError('the configuration has ca.chain and ca.key, so that CA is used and none is created')
  const name = words.options.get('name') ?? 'Sallyport internal CA'
  const names = (words.options.get('names') ?? '').split(',').filter(each => each !== '')
  initInternalCa(state, { name, names })
  const ca = openInternalCa(state, null)
  const root = ca.rootFile as string
  const certificate = new X509Certificate(readText(root))
  const limits = ca.constraints.map(constraintsText).find(text => text !== null) ?? 'any name (--names limits them)'
  const folder = (file: string) => shellQuote(path.join(ca.folder, file))
  print(`The internal CA is made. What must verify its certificates trusts the root:

  root         ${root}
  SHA-256      ${certificate.fingerprint256}
  valid until  ${new Date(certificate.validTo).toISOString().slice(0, 10)}
  signs with   ${path.join(ca.folder, 'intermediate.pem')}, until ${new Date(ca.notAfter).toISOString().slice(0, 10)}
  names        ${limits}

The gateway, toward a backend:
  tls: { ca: ${shellQuote(root)} }

One command, nothing installed:
  curl --cacert ${shellQuote(root)} https://...
  NODE_EXTRA_CA_CERTS=${shellQuote(root)} node app.js

${trustPlaces(root, 'sallyport-internal-ca', name)}
Keep the root's key where no network reaches: it is needed again only for another intermediate.
  mv ${folder('root.key')} /media/offline/

Back up the folder; whoever can read intermediate.key can pose as every service.

Next:
  sallyport ca issue orders.internal --out orders/
`)
  return 0
}
