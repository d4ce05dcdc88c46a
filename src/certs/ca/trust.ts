/** What `sallyport certs` prints about trusting the local CA: one block for each place that keeps its own list of CAs. */

import { shellQuote } from '../files/pem.ts'
import type { LocalCa } from './local-ca.ts'

/** Ends in a newline. `file` is where the reader finds the certificate. */
export function trustText(
  ca: Pick<LocalCa, 'fingerprint256' | 'subject' | 'notAfter'> & { readonly file: string },
): string {
  const file = shellQuote(ca.file)
  return `The local CA signs the certificates of sites with "certificate: local". Clients accept them once they trust it.

  certificate  ${ca.file}
  subject      ${ca.subject}
  SHA-256      ${ca.fingerprint256}
  valid until  ${new Date(ca.notAfter).toISOString().slice(0, 10)}

Trust it only on machines where you would also trust whoever can read the key beside it.

One command, nothing installed:
  curl --cacert ${file} https://localhost:8443/
  NODE_EXTRA_CA_CERTS=${file} node app.js

${trustPlaces(ca.file, 'sallyport-local-ca', 'Sallyport local CA')}`
}

/** How each system is told to trust a CA. @param slug the file's name there @param title what people see in a list */
export function trustPlaces(caFile: string, slug: string, title: string): string {
  const file = shellQuote(caFile)
  return `Debian, Ubuntu:
  sudo cp ${file} /usr/local/share/ca-certificates/${slug}.crt
  sudo update-ca-certificates

Fedora, RHEL:
  sudo cp ${file} /etc/pki/ca-trust/source/anchors/${slug}.pem
  sudo update-ca-trust

macOS:
  sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${file}

Windows (as administrator):
  certutil -addstore -f ROOT "${caFile}"

Firefox: Settings, Privacy & Security, View Certificates, Authorities, Import. Or, with NSS's certutil (Debian: libnss3-tools):
  certutil -d sql:"$HOME/.mozilla/firefox/PROFILE" -A -t C,, -n ${shellQuote(title)} -i ${file}

Chrome and Chromium on Linux:
  certutil -d sql:"$HOME/.pki/nssdb" -A -t C,, -n ${shellQuote(title)} -i ${file}
`
}
