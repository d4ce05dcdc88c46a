/** What a parser, matcher or writer of log lines is registered with: its worst input, of any length. */

export type Worst = {
  /** The source file whose work this is */
  readonly file: string
  readonly what: string
  /** The smaller of the two lengths */
  readonly n: number
  /** Makes an input of that length. @returns does the work on it, once */
  readonly prepare: (n: number) => () => unknown
}

export const worst = (file: string, what: string, n: number, prepare: Worst['prepare']): Worst => ({
  file,
  what,
  n,
  prepare,
})

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** In pieces of one byte, as a hostile peer sends. */
export function bytewise(bytes: Buffer, take: (piece: Buffer) => unknown): void {
  for (let at = 0; at < bytes.length; at++) take(bytes.subarray(at, at + 1))
}
