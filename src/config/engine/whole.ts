/** The step from what was read to what can be used: nothing in it may be `undefined`, which stands for a reported mistake. */
import type { Raw, Read } from './infer.ts'
import type { Shape } from './kinds.ts'

/** @returns undefined where anything in it is wrong */
export function whole<S extends Shape>(_shape: S, raw: Raw<S> | undefined): Read<S> | undefined {
  return isWhole(raw) ? (raw as unknown as Read<S>) : undefined
}

function isWhole(value: unknown): boolean {
  if (value === undefined) return false
  if (Array.isArray(value)) return value.every(isWhole)
  if (value instanceof Map) return [...value.values()].every(isWhole)
  // Values of forms and filters are what they are; only what the reader has made of rows is looked into.
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return true
  return Object.values(value).every(isWhole)
}
