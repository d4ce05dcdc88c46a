/**
 * Faults of ours, logged with their stack. One that is thrown again and again from the same place, by every sweep or by
 * every request, is written once in `quietMs`; the next record says how many were left out.
 */
import { nowMs } from '../base/deadlines.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'

const quietMs = 10_000
/** Places that are remembered: far more than a gateway has faults */
const placesAtMost = 100

type Place = { quietUntil: number; unwritten: number }

export function faultLog(log: Log, clock: () => number = nowMs): (where: string, error: unknown) => void {
  const places = new Map<string, Place>()
  return (where, error) => {
    const stack = error instanceof Error ? error.stack : messageOf(error)
    const key = `${where} ${placeOf(error)}`
    const now = clock()
    let place = places.get(key)
    if (place !== undefined && now < place.quietUntil) {
      place.unwritten++
      return
    }
    if (place === undefined) {
      if (places.size >= placesAtMost) places.clear()
      place = { quietUntil: now, unwritten: 0 }
      places.set(key, place)
    }
    const { unwritten } = place
    log.write('error', 'fault', unwritten > 0 ? { where, stack, unwritten } : { where, stack })
    place.unwritten = 0
    place.quietUntil = now + quietMs
  }
}

/** The innermost frame. Not the message, which may hold what a peer sent, and be different every time. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error) || error.stack === undefined) return ''
  const from = error.stack.indexOf(error.message) + error.message.length
  return /^ +at .*$/m.exec(error.stack.slice(from))?.[0] ?? ''
}
