/** The syslog at the other end of HAProxy's log, for LineClient: every job is answered with its UDP port, and what has arrived. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { serveJobs } from './line-client.ts'

export type SinkReport = { readonly port: number; readonly records: number }

let records = 0
const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
socket.on('message', () => {
  records++
})
socket.bind(0, '127.0.0.1')
await once(socket, 'listening')

await serveJobs(async (): Promise<SinkReport> => ({ port: socket.address().port, records }))
