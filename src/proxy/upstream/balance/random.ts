/** Any endpoint, as likely as its weight says. A retry takes any of those that are left. */
import { type Choose, isLeftOut } from './avoid.ts'
import { drawn } from './draw.ts'

/** @param draw as Math.random */
export function random(draw: () => number = Math.random): Choose {
  return (endpoints, _request, excluded, now) =>
    endpoints[drawn(endpoints, draw(), each => !isLeftOut(each, excluded, now))] ?? null
}
