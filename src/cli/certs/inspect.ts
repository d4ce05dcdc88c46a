/** `sallyport certs inspect HOST`: a whole chain in words, or as JSON. Pure: PEM in, text out. */
import { X509Certificate } from 'node:crypto'
import { daysLeft } from '../../certs/files/list.ts'
import { certificateBlocks } from '../../certs/files/pem.ts'
import { dateText, durationText } from '../../certs/x509/expiry.ts'
import { nameText } from '../../certs/x509/name-text.ts'
import { readCertificate } from '../../certs/x509/x509-read.ts'

type InspectedCertificate = {
  readonly subject: string
  readonly issuer: string
  readonly names: readonly string[]
  readonly serial: string
  /** `ecdsa P-256`, `rsa 2048` */
  readonly key: string
  readonly notBefore: string
  readonly notAfter: string
  readonly daysLeft: number
  readonly fingerprint256: string
  readonly issuerUrls: readonly string[]
  readonly ocspUrls: readonly string[]
  /** It carries the word of certificate transparency logs */
  readonly logged: boolean
  readonly selfSigned: boolean
}

export function inspectChain(chainPem: string, source: string, now: number): InspectedCertificate[] {
  return certificateBlocks(chainPem, source).map(pem => {
    const x509 = new X509Certificate(pem)
    const fields = readCertificate(x509.raw)
    return {
      subject: nameText(fields.subjectDer),
      issuer: nameText(fields.issuerDer),
      names: fields.names,
      serial: fields.serial,
      key: keyText(x509),
      notBefore: new Date(fields.notBefore).toISOString(),
      notAfter: new Date(fields.notAfter).toISOString(),
      daysLeft: daysLeft(fields.notAfter, now),
      fingerprint256: x509.fingerprint256,
      issuerUrls: fields.issuerUrls,
      ocspUrls: fields.ocspUrls,
      logged: fields.logged,
      selfSigned: fields.subjectDer.equals(fields.issuerDer),
    }
  })
}

const curveNames: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' }

function keyText({ publicKey }: X509Certificate): string {
  const { modulusLength, namedCurve = '' } = publicKey.asymmetricKeyDetails ?? {}
  if (publicKey.asymmetricKeyType === 'ec') return `ecdsa ${curveNames[namedCurve] ?? namedCurve}`
  return modulusLength === undefined
    ? String(publicKey.asymmetricKeyType)
    : `${publicKey.asymmetricKeyType} ${modulusLength}`
}

export function inspectText(chain: readonly InspectedCertificate[], source: string, now: number): string {
  const lines = [source]
  for (const [index, one] of chain.entries()) {
    const end = Date.parse(one.notAfter)
    const left = now > end ? `expired ${durationText(now - end)} ago` : `${durationText(end - now)} left`
    lines.push(`${index + 1}  ${one.subject || '(empty subject)'}${one.selfSigned ? ', self-signed' : ''}`)
    const say = (name: string, value: string) => value === '' || lines.push(`   ${name.padEnd(12)}${value}`)
    say('names', one.names.join(', '))
    say('issuer', one.selfSigned ? '' : one.issuer)
    say('key', one.key)
    say('serial', one.serial)
    say('valid', `${dateText(Date.parse(one.notBefore))} to ${dateText(end)}: ${left}`)
    say('SHA-256', one.fingerprint256)
    say('issuer at', one.issuerUrls.join(' '))
    say('OCSP at', one.ocspUrls.join(' '))
    say('CT logs', one.logged ? 'signed timestamps are in it' : '')
  }
  return `${lines.join('\n')}\n`
}
