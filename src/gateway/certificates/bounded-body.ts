/** The body of an answer to fetch, of which no more is read than a limit. */

/** Rejects where there is more, and where reading fails. */
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
