/**
 * The certificate that a server shows for tls-alpn-01 (RFC 8737 section 3), read by ourselves: BoringSSL ends the handshake
 * where a certificate's key usage is not for it, as in those of lego, while the challenge asks for the name and acmeIdentifier only.
 *
 * TLS 1.2 shows certificates in the clear, and the server proves with its ServerKeyExchange that it holds the key; the handshake
 * need not go on. A server that has TLS 1.3 alone is asked through the runtime's library.
 */
import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { Gathered } from '../base/gathered.ts'
import { randomOf, writeClientHello } from '../wire/client-hello-write.ts'
import { readServerFlight, type ServerFlight } from '../wire/server-flight.ts'

/** @param serverName to ask for */
type ShownAt = { readonly address: string; readonly port: number; readonly serverName: string }

type Shown =
  | { readonly kind: 'certificate'; readonly der: Buffer; readonly alpn: string | null }
  /** It answered, and showed none: in words */
  | { readonly kind: 'none'; readonly why: string }

export const acmeTls = 'acme-tls/1'
const mostBytes = 65_536
/** Each is looked at with all that came before it. */
const mostPieces = 1_000
const tls12 = 0x0303
/** ECDHE with AES-GCM and ChaCha20, ECDSA and RSA */
const suites = [0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8]
/** X25519, P-256, P-384, P-521 */
const groups = [29, 23, 24, 25]
const protocolVersion = 70
const handshakeFailure = 40

/** Rejects with the system's error where nobody can be reached, and with the signal's reason. */
export async function shownCertificate(at: ShownAt, signal: AbortSignal): Promise<Shown> {
  const answer = await askFlight(at, signal)
  if (answer.kind === 'flight') return judge(answer.hello, answer.flight)
  if (
    answer.kind === 'alert' &&
    (answer.description === protocolVersion || answer.description === handshakeFailure)
  )
    return await askLibrary(at, signal)
  return {
    kind: 'none',
    why: answer.kind === 'alert' ? `it ended the handshake with alert ${answer.description}` : answer.why,
  }
}

function judge(hello: Buffer, flight: ServerFlight): Shown {
  const [der] = flight.chain
  if (flight.version !== tls12 || der === undefined) return { kind: 'none', why: 'it showed no certificate' }
  let key: KeyObject
  try {
    key = new X509Certificate(der).publicKey
  } catch {
    return { kind: 'none', why: 'its certificate cannot be read' }
  }
  const { keyExchange, random } = flight
  const signed = keyExchange && Buffer.concat([randomOf(hello), random, keyExchange.params])
  if (keyExchange === null || signed === null || !isSigned(keyExchange.scheme, signed, key, keyExchange.signature))
    return { kind: 'none', why: 'it did not prove that it holds the key of its certificate' }
  return { kind: 'certificate', der, alpn: flight.alpn }
}

/** Signature schemes of RFC 8446 section 4.2.3 that the hello offers: the kind of key, and the digest. */
const schemes: Readonly<Record<number, readonly [kind: string, digest: string | null]>> = {
  1027: ['ec', 'sha256'],
  1283: ['ec', 'sha384'],
  1539: ['ec', 'sha512'],
  2055: ['ed25519', null],
  2052: ['rsa', 'sha256'],
  2053: ['rsa', 'sha384'],
  2054: ['rsa', 'sha512'],
  1025: ['rsa', 'sha256'],
  1281: ['rsa', 'sha384'],
  1537: ['rsa', 'sha512'],
}

function isSigned(scheme: number, text: Buffer, key: KeyObject, signature: Buffer): boolean {
  const [kind, digest] = schemes[scheme] ?? []
  if (kind === undefined || digest === undefined || key.asymmetricKeyType !== kind) return false
  const isPss = scheme >>> 8 === 8 && kind === 'rsa'
  const padding = isPss
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {}
  try {
    return verify(digest, text, { key, ...padding }, signature)
  } catch {
    return false
  }
}

type Asked =
  | { readonly kind: 'flight'; readonly hello: Buffer; readonly flight: ServerFlight }
  | { readonly kind: 'alert'; readonly description: number }
  | { readonly kind: 'none'; readonly why: string }

type NoAnswer = { readonly kind: 'none'; readonly why: string }

/** Settles once, with what `listen` passes to `end`, a closed connection, or the signal's reason; the socket is destroyed then. */
function firstAnswer<T>(
  socket: net.Socket,
  signal: AbortSignal,
  listen: (end: (answer: T | NoAnswer | Error) => void) => void,
): Promise<T | NoAnswer> {
  return new Promise((resolve, reject) => {
    const end = (answer: T | NoAnswer | Error) => {
      signal.removeEventListener('abort', stop)
      socket.destroy()
      if (answer instanceof Error) reject(answer)
      else resolve(answer)
    }
    const stop = () => end(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
    socket.on('close', () => end({ kind: 'none', why: 'it closed the connection' }))
    listen(end)
  })
}

function askFlight({ address, port, serverName }: ShownAt, signal: AbortSignal): Promise<Asked> {
  const hello = writeClientHello({ version: tls12, suites, groups, serverName, alpn: [acmeTls] })
  const gathered = new Gathered(null)
  let pieces = 0
  const socket = net.connect({ host: address, port }, () => socket.write(hello))
  return firstAnswer<Asked>(socket, signal, end => {
    socket.on('error', error => end(gathered.length === 0 ? error : { kind: 'none', why: 'it broke off' }))
    socket.on('data', (chunk: Buffer) => {
      gathered.append(chunk)
      const read = readServerFlight(gathered.view())
      if (read.kind === 'flight') end({ kind: 'flight', hello, flight: read.flight })
      else if (read.kind === 'alert') end(read)
      else if (read.kind === 'nonsense') end({ kind: 'none', why: 'it does not answer in TLS' })
      else if (++pieces > mostPieces || gathered.length > mostBytes)
        end({ kind: 'none', why: 'its answer is too long, or in too many pieces' })
    })
  })
}

function askLibrary({ address, port, serverName }: ShownAt, signal: AbortSignal): Promise<Shown> {
  const socket = tls.connect({
    host: address,
    port,
    servername: serverName,
    ALPNProtocols: [acmeTls],
    minVersion: 'TLSv1.3',
    // Self-signed by definition: the caller checks what it says.
    rejectUnauthorized: false,
  })
  return firstAnswer<Shown>(socket, signal, end => {
    socket.on('error', () => end({ kind: 'none', why: 'its TLS handshake failed' }))
    socket.on('secureConnect', () => {
      const der = socket.getPeerCertificate(true)?.raw
      if (der === undefined) end({ kind: 'none', why: 'it showed no certificate' })
      else end({ kind: 'certificate', der, alpn: socket.alpnProtocol || null })
    })
  })
}
