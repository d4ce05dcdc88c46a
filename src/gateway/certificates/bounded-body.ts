/** Reads the body of a fetch response, up to a limit. */

/** Rejects if there is more, or if reading fails. */
export async function boundedBody(response: Response, mostBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    // Leaving the loop cancels the rest.
    if (length > mostBytes) throw new Error(`the answer is over ${mostBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}
