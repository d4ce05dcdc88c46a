/** HTTP on a connection that is ready for it: in cleartext, or once its TLS handshake is done. */
import type { Connection } from '../../model/connection.ts'
import { preface } from '../../wire/h2-frames.ts'
import { Http1Server } from '../http1/serve-http1.ts'
import { serveRedirect } from '../http1/serve-redirect.ts'
import { Http2Server } from '../http2/server.ts'
import type { Holder } from '../seam/holder.ts'

/** @param released called once: the connection is gone, and so are the filters that were at work for it */
export function serveHttp(listener: Holder, connection: Connection, http2: boolean, released: () => void): void {
  const closed = (ended: Http1Server | Http2Server) => {
    listener.letGo(ended)
    // Whoever leaves and comes back while filters are at work for it would have any number of them.
    if (connection.leftBehind === 0) released()
    else {
      listener.lingering++
      connection.onNoneLeft = () => {
        listener.lingering--
        released()
      }
    }
  }
  const { services } = listener
  listener.hold(
    http2 ? new Http2Server(services, connection, closed) : new Http1Server(services, connection, closed),
  )
}

/** @param bytes the first that the client has sent */
export function serveCleartext(
  listener: Holder,
  connection: Connection,
  bytes: Buffer,
  released: () => void,
): void {
  // Of the clients of a trusted proxy some have come to it by https: locate.ts tells them apart.
  if (connection.httpsOnly && connection.trust === null) {
    serveRedirect(listener.services, connection, bytes, released)
    return
  }
  // HTTP/2 by prior knowledge (RFC 9113 section 3.3): no other protocol begins like its preface.
  serveHttp(listener, connection, bytes.length >= 4 && preface.compare(bytes, 0, 4, 0, 4) === 0, released)
  connection.link.handler.onData(bytes)
}
