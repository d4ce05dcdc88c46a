/**
 * Ports for real peers, which cannot be told to choose one themselves. They lie outside the range that the kernel takes
 * the source ports of connections from: one of that range may be in use again before the peer binds it.
 */

import { readFileSync } from 'node:fs'
import net from 'node:net'
import { eventually } from './until.ts'

const [lowest, highest] = rangeOutside()
const taken = new Set<number>()

/** On 127.0.0.1; never the same one twice in a process. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (taken.has(port)) continue
    taken.add(port)
    if (await isFree(port)) return port
  }
  throw new Error(`no free port between ${lowest} and ${highest} on 127.0.0.1 after 200 tries`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** The larger room of those below and above the kernel's range; Linux has 32768 to 60999 unless it is told otherwise. */
function rangeOutside(): readonly [number, number] {
  let text = '32768 60999'
  try {
    text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  } catch {
    // Another system: its range begins no lower.
  }
  const [first = 0, last = 0] = text.trim().split(/\s+/).map(Number)
  const [below, above] = [first - 10_000, 65_536 - last]
  if (below >= 2_000 && below >= above) return [10_000, first]
  return above >= 2_000 ? [last + 1, 65_536] : [18_000, 30_000]
}

/** Resolves when something accepts connections there. */
export function listening(port: number): Promise<void> {
  const accepts = () =>
    new Promise<boolean>(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
  return eventually(`something accepts connections at 127.0.0.1:${port}`, accepts)
}
