/** A DNS server for tests, over UDP and TCP on one port of this machine; it answers what it is told, wrong things included. */
import { createSocket } from 'node:dgram'
import net from 'node:net'
import {
  classes,
  type DnsRecord,
  decodeMessage,
  encodeMessage,
  encodeName,
  encodeText,
} from '../../src/wire/dns-message.ts'

export type FakeDns = {
  readonly host: string
  readonly port: number
  /** Asked over, in order */
  readonly asked: string[]
  answer: (name: string, type: number) => { rcode?: number; records?: DnsRecord[]; authorities?: DnsRecord[] }
  /** What is done with a UDP answer before it is sent; null: it is not */
  udp: (bytes: Buffer) => Buffer | null
  close(): void
}

export const txt = (name: string, ...values: string[]): DnsRecord[] =>
  values.map(value => ({ name, type: 16, class: classes.IN, ttl: 1, rdata: encodeText(value) }))
export const named = (name: string, type: number, target: string): DnsRecord => ({
  name,
  type,
  class: classes.IN,
  ttl: 1,
  rdata: encodeName(target),
})

export async function fakeDns(): Promise<FakeDns> {
  const fake: FakeDns = {
    host: '127.0.0.1',
    port: 0,
    asked: [],
    answer: () => ({}),
    udp: bytes => bytes,
    close: () => {},
  }
  const respond = (bytes: Buffer, over: string): Buffer => {
    const request = decodeMessage(bytes)
    const question = request.questions[0]!
    fake.asked.push(`${over} ${question.name} ${question.type}`)
    const { rcode = 0, records = [], authorities = [] } = fake.answer(question.name, question.type)
    return encodeMessage({ ...request, isAnswer: true, rcode, answers: records, authorities, additionals: [] })
  }
  const tcp = net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', chunk => {
      const answer = respond((chunk as Buffer).subarray(2), 'tcp')
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answer.length)
      socket.end(Buffer.concat([length, answer]))
    })
  })
  await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as net.AddressInfo
  const udp = createSocket('udp4')
  await new Promise<void>(resolve => udp.bind(port, '127.0.0.1', resolve))
  udp.on('message', (bytes, from) => {
    const answer = fake.udp(respond(Buffer.from(bytes), 'udp'))
    if (answer !== null) udp.send(answer, from.port, from.address)
  })
  return Object.assign(fake, {
    port,
    close: () => {
      tcp.close()
      udp.close()
    },
  })
}
