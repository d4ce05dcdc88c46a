/** Text from bytes, the cheapest way each runtime has. */

type Sliceable = Buffer & { latin1Slice(from: number, to: number): string }

/** One character a byte. Both runtimes have `latin1Slice` natively; `toString('latin1')` is a wrapper around it. */
export function latin1(bytes: Buffer, from: number, to: number): string {
  return (bytes as Sliceable).latin1Slice(from, to)
}
