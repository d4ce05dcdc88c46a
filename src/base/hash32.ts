/**
 * A hash of text for choosing, not for secrets: the same in every process, on both runtimes and after a restart. FNV-1a over the
 * UTF-16 code units, then the finisher of MurmurHash3, so that texts that differ in one character are far apart.
 */

/** @param seed another one is another hash @returns 0 to 2^32 - 1 */
export function hash32(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
