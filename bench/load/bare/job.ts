/** What a bare runtime is to do: the one argument of listen-bun.ts and listen-node.ts, as JSON. */

export type BareJob = {
  readonly port: number
  /** `pipe` joins the client's bytes to the backend's, `constant` answers every request with the same bytes */
  readonly mode: 'pipe' | 'constant'
  /** null: the bytes go through as they are, still encrypted */
  readonly identity: { readonly chain: string; readonly key: string } | null
  readonly backendPort: number
  /** null: the backend is in cleartext, or the client's own TLS ends there */
  readonly backendTls: { readonly ca: string; readonly serverName: string } | null
  /** Of a constant answer */
  readonly body: string
}

export const readJob = (): BareJob => JSON.parse(process.argv[2])

export function constantAnswer({ body }: BareJob): Buffer {
  const length = Buffer.byteLength(body)
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${length}\r\n\r\n${body}`)
}

/** Load generators send a request and wait for its response, so a chunk with the end of a head is one request. */
export const endsRequest = (chunk: Uint8Array): boolean => {
  const at = chunk.length - 4
  return at >= 0 && chunk[at] === 13 && chunk[at + 1] === 10 && chunk[at + 2] === 13 && chunk[at + 3] === 10
}
