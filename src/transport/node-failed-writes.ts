/**
 * A backend may answer a request whose body it does not want, and close with the rest of it unread: the kernel then resets the
 * connection. Node destroys a socket as soon as a write fails, and the answer that waits to be read is lost (26.10). Here
 * the write counts as done instead, and the socket is read to its end. Bun reads on by itself. See
 * test/gateway/early-answers.test.ts.
 */
import type { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/** @param failed called with the first error, after which nothing is written any more */
export function readOnAfterFailedWrites(socket: Socket, failed: (error: Error) => void): void {
  const { _write, _writev, _final } = socket
  let broken = false
  let done: Done = unset
  // Of a stream one of these is under way at most, so none of them needs a function of its own.
  const settled: Done = error => {
    if (error && !broken) {
      broken = true
      failed(error)
    }
    done()
  }
  socket._write = (chunk, encoding, callback) => {
    done = callback
    if (broken) callback()
    else _write.call(socket, chunk, encoding, settled)
  }
  socket._writev = (chunks, callback) => {
    done = callback
    if (broken) callback()
    else _writev?.call(socket, chunks, settled)
  }
  socket._final = callback => {
    done = callback
    if (broken) callback()
    else _final.call(socket, settled)
  }
}

const unset: Done = () => {}
