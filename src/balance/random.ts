/** Any endpoint, each as likely as another. A retry takes any of those that are left. */
import type { Endpoint } from '../model/upstream.ts'
import { type Choose, isLeftOut } from './avoid.ts'

/** @param random as Math.random */
export function random(endpoints: readonly Endpoint[], random: () => number = Math.random): Choose {
  return (tried, now) => {
    const left = endpoints.filter(endpoint => !isLeftOut(endpoint, tried, now))
    return left[Math.floor(random() * left.length)] ?? null
  }
}
