/** `::` is the default address of listeners and takes IPv4 too. On a machine without IPv6 0.0.0.0 takes its place. */
import type { Server } from 'node:net'

/**
 * @param listen rejects with the system's error
 * @returns the address that was bound; rejects with the first error where neither can be
 */
export async function listenAt(address: string, listen: (address: string) => Promise<void>): Promise<string> {
  try {
    await listen(address)
    return address
  } catch (error) {
    // Node has EAFNOSUPPORT for it or EADDRNOTAVAIL, and Bun no code at all (1.4.5).
    const { code } = error as { code?: string }
    if (address !== '::' || code === 'EACCES' || code === 'EADDRINUSE') throw error
    const ipv4 = '0.0.0.0'
    await listen(ipv4).catch(() => {
      throw error
    })
    return ipv4
  }
}

/** The same for a server of the standard library. @returns the address that was bound; rejects with the system's error */
export const listenWith = (server: Server, address: string, port: number): Promise<string> =>
  listenAt(
    address,
    host =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ port, host }, () => {
          server.off('error', reject)
          resolve()
        })
      }),
  )

export const ipv6IsOff = (port: number): string =>
  `IPv6 is off on this machine: listening on 0.0.0.0:${port} in place of [::]:${port}`
