/** A client that changes to TLS on a connection on which it has spoken in cleartext. */
import tls from 'node:tls'
import { type RawClient, rawTcp, wrap } from './raw.ts'

/** Resolves when the handshake is done. What came in cleartext stays with `client`. */
export function upgrade(client: RawClient, options: tls.ConnectionOptions): Promise<RawClient> {
  const { socket } = client
  socket.removeAllListeners('data')
  return new Promise((resolve, reject) => {
    const secured = tls.connect({ socket, rejectUnauthorized: false, ...options }, () => {
      secured.off('error', reject)
      resolve(wrap(secured))
    })
    secured.once('error', reject)
  })
}

/** Sends each of `commands` once the answer to the one before has come, beginning with the greeting. */
export async function spoken(port: number, commands: readonly string[], first = ''): Promise<RawClient> {
  const client = await rawTcp(port)
  if (first !== '') client.send(first)
  for (const [at, command] of commands.entries()) {
    const answered = (text: string) => text.split('\n').length > at + 1 && text.endsWith('\n')
    await client.until(answered)
    client.send(command)
  }
  return client
}

export const smtpToTls = ['EHLO client.test\r\n', 'STARTTLS\r\n']

/** On a port for SMTP, after STARTTLS */
export async function smtpOverTls(port: number, options: tls.ConnectionOptions, first = ''): Promise<RawClient> {
  const client = await spoken(port, smtpToTls, first)
  await client.until(text => text.includes('220 2.0.0'))
  return upgrade(client, options)
}

/** A packet of PostgreSQL with a code in place of the version */
export function postgresPacket(code: number, rest = ''): Buffer {
  const packet = Buffer.alloc(8 + rest.length, rest, 'latin1')
  packet.writeUInt32BE(packet.length)
  packet.writeUInt32BE(code, 4)
  packet.write(rest, 8, 'latin1')
  return packet
}

export const sslRequest = postgresPacket(80877103)
export const gssRequest = postgresPacket(80877104)
export const cancelRequest = postgresPacket(80877102, 'pid.key.')
export const startupPacket = postgresPacket(196_608, 'user\0alice\0\0')
