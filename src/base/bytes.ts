/** Text from bytes, the cheapest way each runtime has. */

type Sliceable = Buffer & { latin1Slice(from: number, to: number): string }

/** One character a byte. Both runtimes have `latin1Slice` natively; `toString('latin1')` is a wrapper around it. */
export function latin1(bytes: Buffer, from: number, to: number): string {
  return (bytes as Sliceable).latin1Slice(from, to)
}

/** Ranges up to this length are joined with their neighbours before they are framed or handed on. */
export const joinedAtMost = 1024

/** Small ranges are copied byte by byte: below about 128 the loop is faster than either native call. */
export function copyRange(bytes: Uint8Array, from: number, to: number, into: Buffer, at: number): void {
  if (to - from <= 128) for (let index = from; index < to; index++) into[at++] = bytes[index] as number
  else if (bytes instanceof Buffer) bytes.copy(into, at, from, to)
  else into.set(bytes.subarray(from, to), at)
}
