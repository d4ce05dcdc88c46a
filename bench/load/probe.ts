/**
 * One verified HTTPS request, before anything is measured: that the proxy shows the certificate it should, reaches the
 * backend over the version that is asked for, sets the forwarding headers (all proxies must do the same work) and gives whole bodies.
 */
import { readFileSync } from 'node:fs'
import https from 'node:https'
import type { CertificateFiles, Shape } from './setup.ts'

export type Answer = { readonly status: number; readonly body: Buffer }

export function get(port: number, ca: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, ca: readFileSync(ca), servername: 'localhost', agent: false }
    const request = https.get({ ...options, headers: { host: 'localhost' }, timeout: 5000 }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }))
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error(`GET ${path} took over 5 s`)))
    request.on('error', reject)
  })
}

export type ProbeRequest = {
  readonly shape: Shape
  readonly port: number
  readonly certificates: CertificateFiles
  readonly path: string
  readonly bytes: number
}

/** What is wrong, null if nothing */
export async function probe({ shape, port, certificates, path, bytes }: ProbeRequest): Promise<string | null> {
  const seen = await get(port, certificates.ca, '/seen')
  const version = shape === 'grpc' ? 'HTTP/2.0' : 'HTTP/1.1'
  const expected = shape === 'passthrough' ? '  HTTP/1.1' : `127.0.0.1 https ${version}`
  const said = seen.body.toString('latin1')
  if (seen.status !== 200) return `GET /seen answered ${seen.status}`
  if (said !== expected)
    return `the backend saw X-Forwarded-For, X-Forwarded-Proto, version: '${said}', not '${expected}'`
  const answer = await get(port, certificates.ca, path)
  if (answer.status !== 200) return `GET ${path} answered ${answer.status}`
  if (answer.body.length !== bytes) return `GET ${path} gave ${answer.body.length} bytes, ${bytes} expected`
  return null
}
