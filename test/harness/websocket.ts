/** A WebSocket as far as a gateway sees it: an upgrade, and bytes that come back. */
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { RawClient } from './raw.ts'

/** On the side of the backend: agrees, and sends back what comes. */
export function echoUpgrade(socket: Duplex): void {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  socket.on('data', chunk => socket.write(chunk))
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
}

/** On the side of the client: the upgrade of `/socket` is granted, and what is sent comes back. */
export async function webSocketEchoes(client: RawClient, host: string): Promise<void> {
  client.send(
    `GET /socket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  assert.match(await client.until(text => text.includes('\r\n\r\n')), /^HTTP\/1\.1 101 /)
  client.send('there and back')
  await client.until(text => text.endsWith('there and back'))
  client.destroy()
}
