/** Asks an OCSP responder over HTTP (RFC 6960 appendix A). The response is bounded in time and size, and not verified here. */
import { mostResponseBytes, type OcspSubject, ocspRequest } from '../../certs/x509/ocsp.ts'
import { boundedBody } from './bounded-body.ts'

const fetchMs = 10_000

/** Rejects with the reason if there is no response. Redirects are not followed: the certificate names the responder. */
export async function fetchOcsp(url: string, subject: OcspSubject): Promise<Buffer> {
  const signal = AbortSignal.timeout(fetchMs)
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request', accept: 'application/ocsp-response' },
    body: new Uint8Array(ocspRequest(subject)),
    redirect: 'manual',
    signal,
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`the responder answered ${response.status}`)
  }
  return boundedBody(response, mostResponseBytes)
}
