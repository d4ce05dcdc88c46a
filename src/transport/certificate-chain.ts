/** The certificates that a peer sent, from the nested form in which both runtimes give them. */

type Nested = { readonly raw?: Buffer; readonly issuerCertificate?: Nested }

/** A root is its own issuer, and would never end. */
const longest = 16

export function certificateChain(leaf: Nested | null | undefined): Buffer[] {
  const chain: Buffer[] = []
  for (let at = leaf; at?.raw !== undefined && chain.length < longest; at = at.issuerCertificate) {
    if (chain.some(known => known.equals(at?.raw as Buffer))) break
    chain.push(at.raw)
  }
  return chain
}
