/**
 * The first flight of a server in TLS 1.2 and older, which is not encrypted (RFC 5246 section 7.3): its certificates as it sends
 * them, and whether it asks for one. Seen also where this runtime's TLS library cannot go on to a whole handshake.
 */
import net from 'node:net'
import { Gathered } from '../../base/gathered.ts'
import { groupIds } from '../../model/policies.ts'
import { writeClientHello } from '../../wire/client-hello-write.ts'
import { mostPieces } from './connect.ts'
import { answerMs, type Reached } from './reach.ts'

export type Flight = {
  /** DER, the leaf first */
  readonly chain: readonly Buffer[]
  readonly asksForCertificate: boolean
}

const mostBytes = 200_000

/** Null where there is none. @param suites one of which the server takes in this version */
export function askFlight(
  { address, port, serverName }: Reached,
  version: number,
  suites: readonly number[],
): Promise<Flight | null> {
  return new Promise(resolve => {
    const gathered = new Gathered(null)
    let pieces = 0
    const groups = Object.values(groupIds)
    const socket = net.connect({ host: address, port }, () =>
      socket.write(writeClientHello({ version, suites, groups, serverName })),
    )
    const settle = () => {
      resolve(readFlight(gathered.view()).flight)
      socket.destroy()
    }
    socket.setTimeout(answerMs, settle)
    socket.on('data', (chunk: Buffer) => {
      gathered.append(chunk)
      if (++pieces > mostPieces || gathered.length > mostBytes || readFlight(gathered.view()).done) settle()
    })
    socket.on('error', settle)
    socket.on('close', settle)
  })
}

/** Reads what has come so far; `done` behind ServerHelloDone. Never throws: lengths that are wrong end it. */
export function readFlight(bytes: Buffer): { readonly flight: Flight | null; readonly done: boolean } {
  const messages: Buffer[] = []
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt16BE(at + 3)
    if (bytes[at] !== 22 || end > bytes.length) break
    messages.push(bytes.subarray(at + 5, end))
    at = end
  }
  const all = Buffer.concat(messages)
  let chain: Buffer[] | null = null
  let asksForCertificate = false
  let done = false
  for (let at = 0; at + 4 <= all.length; ) {
    const end = at + 4 + all.readUIntBE(at + 1, 3)
    if (end > all.length) break
    const type = all[at]
    if (type === 11) chain = certificatesIn(all.subarray(at + 4, end))
    if (type === 13) asksForCertificate = true
    if (type === 14) done = true
    at = end
  }
  return { flight: chain === null ? null : { chain, asksForCertificate }, done }
}

/** A Certificate message (section 7.4.2). */
function certificatesIn(body: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 3; at + 3 <= body.length; ) {
    const end = at + 3 + body.readUIntBE(at, 3)
    if (end > body.length) break
    found.push(body.subarray(at + 3, end))
    at = end
  }
  return found
}
