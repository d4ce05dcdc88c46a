/**
 * One DNS message there and one back: over UDP, and over TCP where the answer was cut short or none came (RFC 7766).
 * An answer counts only from the server asked, with the id and the question that were sent.
 */
import { createSocket } from 'node:dgram'
import net, { isIP } from 'node:net'
import { messageOf } from '../../base/errors.ts'
import { Gathered } from '../../base/gathered.ts'
import { withPort } from '../../base/ip.ts'
import { decodeMessage, type ReadDnsMessage } from '../../wire/dns-message.ts'

/** `host` is an IP address. */
export type DnsServer = { readonly host: string; readonly port: number }

const udpTryMs = 1_500
const udpTries = 2
const tcpMs = 5_000

export const serverText = ({ host, port }: DnsServer): string => withPort(host, port)

/** Throws Error that says what was tried. */
export async function exchange(server: DnsServer, message: Buffer, signal: AbortSignal): Promise<ReadDnsMessage> {
  if (isIP(server.host) === 0) throw new Error(`${server.host} is not the address of a DNS server`)
  for (let tries = 0; tries < udpTries; tries++) {
    const answer = await overUdp(server, message, signal)
    signal.throwIfAborted()
    if (answer === null) continue
    if (!answer.truncated) return answer
    break
  }
  return overTcp(server, message, signal)
}

/** Null where no answer came, or nothing that is one. */
function overUdp(server: DnsServer, message: Buffer, signal: AbortSignal): Promise<ReadDnsMessage | null> {
  return new Promise(resolve => {
    const socket = createSocket(isIP(server.host) === 6 ? 'udp6' : 'udp4')
    const settle = (answer: ReadDnsMessage | null) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners('message')
      try {
        socket.close()
      } catch {
        // Closed already.
      }
      resolve(answer)
    }
    const onAbort = () => settle(null)
    const timer = setTimeout(onAbort, udpTryMs)
    signal.addEventListener('abort', onAbort, { once: true })
    // A port that is closed answers with an error: then TCP may still work.
    socket.on('error', () => settle(null))
    socket.on('message', (bytes, from) => {
      if (from.port !== server.port || !sameAddress(from.address, server.host)) return
      const answer = answerTo(message, Buffer.from(bytes))
      if (answer !== null) settle(answer)
    })
    // The port is random, and the id too: who is not on the way must guess both.
    socket.send(message, server.port, server.host, error => {
      if (error) settle(null)
    })
    if (signal.aborted) onAbort()
  })
}

const sameAddress = (a: string, b: string) =>
  a === b || new URL(`http://[${v6(a)}]`).hostname === new URL(`http://[${v6(b)}]`).hostname
const v6 = (address: string) => (isIP(address) === 6 ? address.replace(/%.*$/, '') : `::ffff:${address}`)

function overTcp(server: DnsServer, message: Buffer, signal: AbortSignal): Promise<ReadDnsMessage> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: server.host, port: server.port })
    const got = new Gathered(null)
    const settle = (act: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      act()
    }
    const fail = (why: string) => settle(() => reject(new Error(`DNS server ${serverText(server)}: ${why}`)))
    const onAbort = () => fail('cancelled')
    const timer = setTimeout(() => fail(`no answer within ${tcpMs / 1000} seconds`), tcpMs)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('connect', () => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      socket.write(Buffer.concat([length, message]))
    })
    socket.on('data', (chunk: Buffer) => {
      got.append(chunk)
      // Two bytes of length, then at most 64 kB: what comes behind is nobody's.
      const bytes = got.view()
      if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return
      const answer = answerTo(message, bytes.subarray(2, 2 + bytes.readUInt16BE(0)))
      if (answer === null) fail('the answer makes no sense')
      else settle(() => resolve(answer))
    })
    socket.on('error', error => fail((error as NodeJS.ErrnoException).code ?? messageOf(error)))
    socket.on('close', () => fail('the connection was closed without an answer'))
    if (signal.aborted) onAbort()
  })
}

function answerTo(message: Buffer, bytes: Buffer): ReadDnsMessage | null {
  try {
    const answer = decodeMessage(bytes)
    const asked = decodeMessage(message)
    if (!answer.isAnswer || answer.id !== asked.id || answer.opcode !== asked.opcode) return null
    // An error may leave the question out.
    const [question, wanted] = [answer.questions[0], asked.questions[0]]
    if (question === undefined) return answer.rcode === 0 ? null : answer
    return question.name === wanted?.name && question.type === wanted.type ? answer : null
  } catch {
    return null
  }
}
