/** Log records about certificates in files: one for each swap, and one for each distinct problem. */
import type { Log } from '../../base/log.ts'
import type { LeafSummary } from '../../certs/x509/leaf.ts'
import type { CasChange, CertificateChange } from './certificate-watch.ts'

export function logChange(log: Log, change: CertificateChange): void {
  switch (change.kind) {
    case 'replaced': {
      const { source, from, to, warnings } = change
      log.write('info', 'certificate replaced', {
        source,
        names: shown(to.names),
        oldNotAfter: from === null ? null : dateOf(from),
        notAfter: dateOf(to),
        oldFingerprint: from?.fingerprint256 ?? null,
        fingerprint: to.fingerprint256,
      })
      for (const warning of warnings) log.write('warn', warning)
      return
    }
    case 'broken': {
      const { source, why, leaf } = change
      const now =
        leaf === null
          ? 'no certificate can be shown in its place'
          : `the current certificate stays in use: ${shown(leaf.names).join(', ')}, until ${dateOf(leaf)}`
      log.write('warn', 'certificate files cannot be used', {
        source,
        why,
        now,
        next: 'they are looked at again every few seconds',
      })
      return
    }
    case 'mended':
      log.write('info', 'certificate files can be used again', { source: change.source })
      return
    case 'added':
    case 'removed':
      log.write('info', `certificate ${change.kind}`, {
        source: change.source,
        names: shown(change.leaf?.names ?? []),
        notAfter: change.leaf === null ? null : dateOf(change.leaf),
      })
      return
    case 'stays':
      log.write('warn', 'certificate files were removed, and no other certificate covers their names', {
        source: change.source,
        names: shown(change.leaf?.names ?? []),
        now: 'the certificate stays in use until it expires or another one covers its names',
      })
      return
    case 'problem':
      log.write('warn', change.why)
      return
    case 'cas':
      logCas(log, change.source, change.look)
  }
}

function logCas(log: Log, source: string, look: CasChange): void {
  if (look.kind === 'replaced')
    log.write('info', 'trusted CAs replaced', { source, subjects: shown(look.subjects) })
  else if (look.kind === 'mended') log.write('info', 'the file of trusted CAs can be used again', { source })
  else {
    log.write('warn', 'a file of trusted CAs cannot be used', {
      source,
      why: look.why,
      now: 'the current ones stay in use',
      next: 'it is looked at again every few seconds',
    })
  }
}

/** Certificates may have hundreds of names. */
const shown = (names: readonly string[]): string[] =>
  names.length > 10 ? [...names.slice(0, 10), `and ${names.length - 10} more`] : [...names]

const dateOf = ({ notAfter }: Pick<LeafSummary, 'notAfter'>): string => new Date(notAfter).toISOString()
