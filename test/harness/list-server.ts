/** A web server with one revocation list, which may change or be away. */
import http from 'node:http'
import type net from 'node:net'

export type ListServer = {
  readonly url: string
  /** Requests so far */
  readonly asked: number
  /** null: 503 from now on */
  serve(list: Uint8Array | null): void
  close(): Promise<void>
}

export async function listServer(first: Uint8Array | null): Promise<ListServer> {
  let served = first
  let asked = 0
  const web = http.createServer((_request, response) => {
    asked++
    if (served === null) response.writeHead(503).end()
    else response.end(served)
  })
  await new Promise<void>(resolve => web.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(web.address() as net.AddressInfo).port}/ca.crl`,
    get asked() {
      return asked
    },
    serve(list) {
      served = list
    },
    close() {
      web.closeAllConnections()
      return new Promise(resolve => web.close(() => resolve()))
    },
  }
}
