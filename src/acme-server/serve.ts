/**
 * The ACME server on a port, over TLS with a certificate of the CA itself. It is the control plane: the standard library's
 * HTTPS server does, within bounds on bytes, time and connections.
 *
 * The certificate is replaced by a new server on the same port, because one of the two runtimes cannot give a running one
 * another certificate; what is under way on the old one ends there.
 */
import { generateKeyPairSync } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { messageOf, UsageError } from '../base/errors.ts'
import { withPort } from '../base/ip.ts'
import { listenWith } from '../base/listen-at.ts'
import { AcmeServer, maxBodyBytes } from './server.ts'
import type { AcmeServerTerms, Answer } from './terms.ts'

type ServeTerms = Omit<AcmeServerTerms, 'baseUrl'> & {
  readonly address: string
  /** 0 lets the system choose */
  readonly port: number
  /** A DNS name or an IP address: what clients are told, and what the certificate is for */
  readonly host: string
  /** For a handshake, a request's head, and its body, each */
  readonly requestMs: number
}

export type ServedAcme = {
  readonly port: number
  readonly directory: string
  /** A new certificate for the server itself, now; it is done in time without being asked for */
  renew(): Promise<void>
  /** Ends the listening at once, and what is under way within some seconds */
  close(): Promise<void>
}

export const requestMs = 15_000
const headBytes = 16 * 1024
const mostConnections = 256
const closeMs = 3_000
const ownLifetimeMs = 7 * 24 * 3_600_000
const retryMs = 60_000
/** How often the clock is looked at */
const lookMs = 600_000
/** The clocks of a fleet differ by less. */
const skewMs = 300_000

/** Throws UsageError where the port cannot be had, AuthorityError where the CA may not give `host`. */
export async function serveAcme(terms: ServeTerms): Promise<ServedAcme> {
  const { host } = terms
  const first = await ownCertificate(terms)
  let acme: AcmeServer | null = null
  const onRequest = (request: IncomingMessage, response: ServerResponse) =>
    void serve(acme, request, response, terms.requestMs)
  let server = await listen(terms, first.tls, terms.port, onRequest)
  const { port } = server.address() as AddressInfo
  const name = host.includes(':') ? `[${host}]` : host
  const baseUrl = `https://${name}${port === 443 ? '' : `:${port}`}`
  acme = new AcmeServer({ ...terms, baseUrl })
  let closed = false
  let timer: NodeJS.Timeout | null = null
  const renewAt = (ms: number) => {
    const plannedAt = terms.now()
    const look = () => {
      const now = terms.now()
      // A clock that was corrected backwards leaves a certificate that is not valid yet.
      if (now >= ms || now < plannedAt - skewMs) void renew()
      else timer = setTimeout(look, Math.min(lookMs, Math.max(1_000, ms - now))).unref()
    }
    timer = setTimeout(look, Math.min(lookMs, Math.max(1_000, ms - plannedAt))).unref()
  }
  const renew = async (): Promise<void> => {
    try {
      const next = await ownCertificate(terms)
      if (closed) return
      const old = server
      // Without `await`: the listening socket is free when close() returns, the rest is for what is under way.
      const ended = end(old, closeMs)
      server = await listenAgain(terms, next.tls, port, onRequest)
      if (closed) void end(server, 0)
      else renewAt(next.renewAt)
      await ended
    } catch (error) {
      terms.log.write('error', 'internal CA: the certificate of the ACME server was not renewed', {
        reason: messageOf(error),
      })
      if (!closed) renewAt(terms.now() + retryMs)
    }
  }
  renewAt(first.renewAt)
  return {
    port,
    directory: `${baseUrl}/directory`,
    async renew() {
      if (timer !== null) clearTimeout(timer)
      await renew()
    },
    async close() {
      closed = true
      if (timer !== null) clearTimeout(timer)
      acme?.close()
      await end(server, closeMs)
    },
  }
}

type OwnTls = { readonly cert: string; readonly key: string }

async function ownCertificate({ authority, host, now }: ServeTerms): Promise<{ tls: OwnTls; renewAt: number }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { chainPem, notBefore, notAfter } = await authority.issue({
    publicKey,
    names: [host],
    uris: [],
    use: ['server'],
    lifetimeMs: ownLifetimeMs,
    requester: 'acme server',
  })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const renewAt = Math.min(notBefore + ((notAfter - notBefore) * 2) / 3, now() + 2_000_000_000)
  return { tls: { cert: chainPem, key }, renewAt }
}

type OnRequest = (request: IncomingMessage, response: ServerResponse) => void

async function listen(
  { address, requestMs }: ServeTerms,
  own: OwnTls,
  port: number,
  onRequest: OnRequest,
): Promise<https.Server> {
  const server = https.createServer(
    {
      ...own,
      minVersion: 'TLSv1.2',
      handshakeTimeout: requestMs,
      maxHeaderSize: headBytes,
      headersTimeout: requestMs,
      requestTimeout: requestMs,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    },
    onRequest,
  )
  server.maxConnections = mostConnections
  server.setTimeout(requestMs)
  // One runtime looks only at how long a connection is silent: a head that comes byte by byte would never end.
  server.on('connection', socket => {
    const timer = setTimeout(() => socket.destroy(), requestMs * 4)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  })
  try {
    await listenWith(server, address, port)
  } catch (error) {
    throw new UsageError(`ca.acme.listen: cannot listen on ${withPort(address, port)}: ${messageOf(error)}`)
  }
  server.on('error', () => {})
  return server
}

/** The port is ours, but may take a moment to be free. */
async function listenAgain(
  terms: ServeTerms,
  own: OwnTls,
  port: number,
  onRequest: OnRequest,
): Promise<https.Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listen(terms, own, port, onRequest)
    } catch (error) {
      if (attempt === 50) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

async function end(server: https.Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}

async function serve(
  acme: AcmeServer | null,
  request: IncomingMessage,
  response: ServerResponse,
  bodyMs: number,
): Promise<void> {
  response.on('error', () => {})
  try {
    const body = await readBody(request, bodyMs)
    if (body === null || acme === null) {
      const status = acme === null ? 503 : 413
      send(response, request, { status, fields: { connection: 'close' }, body: '' })
      return
    }
    const answer = await acme.handle({
      method: request.method ?? '',
      path: request.url ?? '',
      contentType: request.headers['content-type'] ?? '',
      body,
      remote: request.socket.remoteAddress ?? '',
    })
    send(response, request, answer)
  } catch {
    // The client went away, or was too slow.
    if (!response.headersSent) send(response, request, { status: 408, fields: { connection: 'close' }, body: '' })
    request.destroy()
  }
}

/** Null where it is too long. Rejects when it does not come in time. */
function readBody(request: IncomingMessage, bodyMs: number): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => reject(new Error('the body came too slowly')), bodyMs)
    const done = (body: Buffer | null) => {
      clearTimeout(timer)
      resolve(body)
    }
    if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return done(null)
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBodyBytes) done(null)
      else chunks.push(chunk)
    })
    request.on('end', () => done(Buffer.concat(chunks)))
    request.on('error', error => {
      clearTimeout(timer)
      reject(error)
    })
    request.on('close', () => {
      clearTimeout(timer)
      reject(new Error('the client went away'))
    })
  })
}

function send(response: ServerResponse, request: IncomingMessage, { status, fields, body }: Answer): void {
  const bytes = Buffer.from(body)
  response.writeHead(status, { ...fields, ...(status === 204 ? {} : { 'content-length': bytes.length }) })
  response.end(request.method === 'HEAD' || status === 204 ? undefined : bytes)
}
