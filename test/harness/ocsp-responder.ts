/** An OCSP responder of one's own: `openssl ocsp` makes the responses, and a test says what is done with them. */
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type net from 'node:net'
import path from 'node:path'
import { type IssuedFiles, type TestCa, temporaryFolder } from './certificates.ts'

export type Signer = { readonly certificatePem: string; readonly keyPem: string }

export type ResponseOptions = {
  readonly revoked?: boolean
  /** The certificate is not in the responder's index */
  readonly unknown?: boolean
  /** The CA itself when left out */
  readonly signer?: Signer
  /** From now on */
  readonly minutes?: number
  readonly more?: readonly string[]
}

const asTime = (ms: number) => `${new Date(ms).toISOString().slice(2, 19).replace(/\D/g, '')}Z`

/** What OpenSSL answers to a request about certificates of this CA. */
export async function opensslResponse(
  ca: TestCa,
  leaf: IssuedFiles,
  request: Buffer,
  options: ResponseOptions = {},
): Promise<Buffer> {
  const { revoked = false, unknown = false, minutes = 60, more = [] } = options
  const signer = options.signer ?? ca
  const folder = temporaryFolder('sallyport-ocsp-')
  const at = (name: string, content: string | Buffer) => {
    const file = path.join(folder, name)
    writeFileSync(file, content)
    return file
  }
  const { serialNumber, validTo } = new X509Certificate(leaf.chainPem)
  const ends = asTime(Date.parse(validTo))
  const row = revoked
    ? `R\t${ends}\t${asTime(Date.now() - 60_000)}\t${serialNumber}\tunknown\t/CN=x\n`
    : `V\t${ends}\t\t${serialNumber}\tunknown\t/CN=x\n`
  const output = path.join(folder, 'response')
  const words = [
    ...['-index', at('index', unknown ? '' : row), '-CA', at('ca.pem', ca.certificatePem)],
    ...['-rsigner', at('signer.pem', signer.certificatePem), '-rkey', at('signer.key', signer.keyPem)],
    ...['-reqin', at('request', request), '-respout', output, '-nmin', String(minutes), ...more],
  ]
  const child = spawn('openssl', ['ocsp', ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
  let err = ''
  child.stderr.on('data', chunk => void (err += chunk))
  const code = await new Promise(resolve => child.on('close', resolve))
  if (code !== 0) throw new Error(err)
  return readFileSync(output)
}

export type Responder = {
  readonly url: string
  /** Requests so far */
  readonly asked: number
  answer: (request: Buffer, response: http.ServerResponse) => void | Promise<void>
  close(): void
}

export async function ocspResponder(): Promise<Responder> {
  let asked = 0
  const server = http.createServer((request, response) => {
    asked++
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => void responder.answer(Buffer.concat(parts), response))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const responder: Responder = {
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/`,
    get asked() {
      return asked
    },
    answer: (_request, response) => void response.writeHead(503).end(),
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
  return responder
}
