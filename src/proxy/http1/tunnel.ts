/** After a 101: the client is told, and its link and the backend's are joined (RFC 9110 section 7.8). */
import { ProxyError } from '../../base/errors.ts'
import type { Link } from '../../model/link.ts'
import { tunnelIdleMs } from '../../model/route.ts'
import type { Tunnelled } from '../seam/downstream.ts'
import type { Services } from '../seam/services.ts'
import { Splice } from '../seam/splice.ts'

/** Bytes that the client sent before the 101 belong to no protocol that both sides have agreed on. */
export function refuseTunnel(client: Link, backend: Link, tunnelled: Tunnelled): void {
  backend.destroy()
  tunnelled.finish(new ProxyError('BAD_REQUEST', 'bytes after an upgrade request and before its answer'))
  client.destroy()
}

/** @param early what the backend sent behind its 101 */
export function openTunnel(
  services: Services,
  client: Link,
  backend: Link,
  tunnelled: Tunnelled,
  text: string,
  early: readonly Buffer[],
  closed: () => void,
): Splice {
  client.cork()
  client.writeText(
    `HTTP/1.1 101 Switching Protocols\r\n${text}connection: upgrade\r\nupgrade: ${tunnelled.upgrade}\r\n\r\n`,
  )
  for (const chunk of early) client.write(chunk)
  client.uncork()
  const splice = new Splice(services, client, backend, tunnelIdleMs(tunnelled.timeouts), (ended, error) => {
    tunnelled.tunnelEnded(ended.bytesIn, ended.bytesOut, error)
    closed()
  })
  for (const chunk of early) splice.moved(false, chunk.length)
  return splice
}
