/**
 * A text that is the same for the same terms and different for different ones: what goes on over a reload is known by it.
 * JSON alone says `{}` for every Map and Set, and null for infinity, and a reload would ignore what changed there.
 */
export function termsText(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (each instanceof Map) return { map: [...each] }
    if (each instanceof Set) return { set: [...each] }
    if (typeof each === 'number' && !Number.isFinite(each)) return { number: String(each) }
    if (typeof each === 'function' || typeof each === 'symbol' || typeof each === 'bigint')
      throw new TypeError(`terms hold a ${typeof each}, which cannot be compared`)
    return each
  })
}
