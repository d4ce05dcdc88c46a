/**
 * One verified HTTPS request, before anything is measured: that the proxy shows the certificate it should, reaches the
 * backend over the version that is asked for, sets the forwarding headers (all proxies must do the same work) and gives whole bodies.
 */
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { Case } from './case.ts'

export type Answer = { readonly status: number; readonly body: Buffer }

/** In cleartext where `ca` is null */
export function get(port: number, ca: string | null, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, agent: false, headers: { host: 'localhost' }, timeout: 5000 }
    const onResponse = (response: http.IncomingMessage) => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }))
      response.on('error', reject)
    }
    const request =
      ca === null
        ? http.get(options, onResponse)
        : https.get({ ...options, ca: readFileSync(ca), servername: 'localhost' }, onResponse)
    request.on('timeout', () => request.destroy(new Error(`GET ${path} took over 5 s`)))
    request.on('error', reject)
  })
}

export type ProbeRequest = Pick<Case, 'shape' | 'path' | 'bytes' | 'load' | 'sendBytes'> & {
  readonly port: number
  readonly ca: string
  /** A runtime without a gateway adds no fields, and may answer everything alike */
  readonly isBare: boolean
}

/** What is wrong, null if nothing */
export async function probe(one: ProbeRequest): Promise<string | null> {
  const { shape, port, ca, path, bytes, load, sendBytes, isBare } = one
  if (!isBare && shape !== 'respond') {
    const seen = await get(port, ca, '/seen')
    const version = shape === 'grpc' ? 'HTTP/2.0' : 'HTTP/1.1'
    const expected = shape === 'passthrough' ? '  HTTP/1.1' : `127.0.0.1 https ${version}`
    const said = seen.body.toString('latin1')
    if (seen.status !== 200) return `GET /seen answered ${seen.status}`
    if (said !== expected)
      return `the backend saw X-Forwarded-For, X-Forwarded-Proto, version: '${said}', not '${expected}'`
  }
  // An upload and a WebSocket are first tried by the load itself.
  if (load === 'websocket' || sendBytes !== undefined) return null
  const answer = await get(port, ca, path)
  if (answer.status !== 200) return `GET ${path} answered ${answer.status}`
  if (load !== 'reload' && answer.body.length !== bytes)
    return `GET ${path} gave ${answer.body.length} bytes, ${bytes} expected`
  return null
}
