/**
 * HPACK's Huffman code (RFC 7541 section 5.2 and Appendix B). The code is canonical, so the lengths of its 257 symbols
 * say all there is to it. Decoding goes half a byte at a time through a table of states; a code has at least five bits,
 * so no step ends more than one symbol.
 */

const EOS = 256

/** Bits of the code of each symbol; the last one is EOS. */
const lengths: readonly number[] = (
  '13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 ' +
  '6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 ' +
  '13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 ' +
  '15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 ' +
  '20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 ' +
  '22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 ' +
  '26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 ' +
  '20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30'
)
  .split(' ')
  .map(Number)

const codes = canonicalCodes()

function canonicalCodes(): number[] {
  const found: number[] = new Array(lengths.length).fill(0)
  let code = 0
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) if (lengths[symbol] === length) found[symbol] = code++
    code *= 2
  }
  return found
}

/** In a step: a symbol ends here (the next eight bits hold it), or no code begins like this. The rest is the next state. */
const emits = 0x100
const fails = 0x200
const stateShift = 10

/** 16 steps for each state; and for each state whether a string may end there. */
const { steps, accepts } = machine()

function machine(): { steps: Int32Array; accepts: Uint8Array } {
  // The code as a tree: children of node n at 2n and 2n + 1; a leaf is stored as -1 - symbol.
  const tree: number[] = [0, 0]
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0
    for (let bit = (lengths[symbol] as number) - 1; bit >= 0; bit--) {
      const child = 2 * node + (((codes[symbol] as number) >>> bit) & 1)
      if (bit === 0) tree[child] = -1 - symbol
      else {
        if (tree[child] === 0) {
          tree[child] = tree.length / 2
          tree.push(0, 0)
        }
        node = tree[child] as number
      }
    }
  }
  const count = tree.length / 2
  const table = new Int32Array(count * 16)
  for (let state = 0; state < count; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state
      let step = 0
      for (let bit = 3; bit >= 0; bit--) {
        const next = tree[2 * node + ((nibble >>> bit) & 1)] as number
        if (next >= 0) node = next
        else {
          step |= next === -1 - EOS ? fails : emits | (-1 - next)
          node = 0
        }
      }
      table[state * 16 + nibble] = step | (node << stateShift)
    }
  }
  // Padding is the beginning of EOS, all ones, and shorter than a byte.
  const ends = new Uint8Array(count)
  for (let node = 0, depth = 0; depth < 8; depth++) {
    ends[node] = 1
    node = tree[2 * node + 1] as number
  }
  return { steps: table, accepts: ends }
}

/** The longest string that `bytes` bytes of the code can stand for. */
export const huffmanDecodedAtMost = (bytes: number): number => Math.floor((bytes * 8) / 5)

/**
 * Decodes `bytes[from, to)` into `into`, which must be large enough.
 * @returns how many bytes it became, or -1 for EOS or a bad padding, which are errors (section 5.2)
 */
export function huffmanDecode(bytes: Uint8Array, from: number, to: number, into: Uint8Array): number {
  let state = 0
  let at = 0
  for (let index = from; index < to; index++) {
    const byte = bytes[index] as number
    let step = steps[state * 16 + (byte >>> 4)] as number
    if (step & emits) into[at++] = step & 0xff
    if (step & fails) return -1
    step = steps[(step >>> stateShift) * 16 + (byte & 0xf)] as number
    if (step & emits) into[at++] = step & 0xff
    if (step & fails) return -1
    state = step >>> stateShift
  }
  return accepts[state] === 1 ? at : -1
}

/** Bytes that latin1 `text` takes in the code. */
export function huffmanLength(text: string): number {
  let bits = 0
  for (let at = 0; at < text.length; at++) bits += lengths[text.charCodeAt(at) & 0xff] as number
  return (bits + 7) >>> 3
}

/** Writes latin1 `text` in the code at `at`. @returns the position after it */
export function huffmanEncode(text: string, into: Uint8Array, at: number): number {
  let held = 0
  let bits = 0
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index) & 0xff
    let length = lengths[symbol] as number
    let code = codes[symbol] as number
    // At most seven bits are held, so 24 more always fit into 31.
    if (length > 24) {
      const low = length - 24
      held = (held << 24) | (code >>> low)
      bits += 24
      while (bits >= 8) {
        bits -= 8
        into[at++] = held >>> bits
      }
      code &= (1 << low) - 1
      length = low
    }
    held = (held << length) | code
    bits += length
    while (bits >= 8) {
      bits -= 8
      into[at++] = held >>> bits
    }
    held &= (1 << bits) - 1
  }
  if (bits > 0) into[at++] = (held << (8 - bits)) | (0xff >>> bits)
  return at
}
