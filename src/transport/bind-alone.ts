/** Whether a port is free, also of those who would share it with SO_REUSEPORT. */
import net from 'node:net'
import { bun } from '../base/runtime.ts'

/** Binds and lets go again. Rejects with the system's error. */
export async function bindAlone(address: string, port: number): Promise<void> {
  if (bun !== null) {
    // Without a handler for data Bun takes no listener at all.
    const socket = {
      binaryType: 'buffer',
      open: (accepted: { terminate(): void }) => accepted.terminate(),
      data: () => {},
    } as const
    bun.listen({ hostname: address, port, exclusive: true, reusePort: false, socket }).stop(true)
    return
  }
  const server = net.createServer(socket => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address, port, exclusive: true }, resolve)
  })
  await new Promise(resolve => server.close(resolve))
}
