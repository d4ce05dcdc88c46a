/** Any endpoint, each as likely as another. A retry takes any of those that are left. */
import type { Endpoint } from '../endpoint.ts'
import { type Choose, isLeftOut } from './avoid.ts'

/** @param draw as Math.random */
export function random(draw: () => number = Math.random): Choose {
  return (endpoints, _request, excluded, now) => {
    let left = 0
    for (const endpoint of endpoints) if (!isLeftOut(endpoint, excluded, now)) left++
    if (left === 0) return null
    let skip = Math.floor(draw() * left)
    for (let at = 0; ; at++) {
      const endpoint = endpoints[at] as Endpoint
      if (!isLeftOut(endpoint, excluded, now) && skip-- === 0) return endpoint
    }
  }
}
