/** What a request, or a connection of layer 4, is known by where an endpoint is picked for it. Nothing is read before it is asked for. */
export interface Picked {
  readonly clientAddress: string
  /** As the client has named it: of a layer-4 connection the server name, or empty */
  readonly host: string
  /** In normal form; empty at layer 4 */
  readonly path: string
  /** As sent, with its '?'; empty at layer 4 */
  readonly query: string
  /** JA4 of the client's hello; null in cleartext, and where the site does not look at fingerprints */
  readonly ja4: string | null
  /** The subject of the client's verified certificate, or null */
  readonly clientSubject: string | null
  /** A field of the request, by its name in lower case, or null; layer 4 has none */
  field(name: string): string | null
}
