/** PEM (RFC 7468), the writing of it. */

/** With lines of 64 characters. @param label as in `CERTIFICATE` */
export function toPem(label: string, der: Uint8Array): string {
  const body = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`
}
