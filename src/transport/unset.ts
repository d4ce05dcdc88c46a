/** The handler of a link that nobody has taken yet. Reaching it is a fault of ours, and is logged as one. */
import type { LinkHandler } from '../model/link.ts'

const taken = (): never => {
  throw new Error('a link was used before its handler was set')
}

export const unset: LinkHandler = { onOpen: taken, onData: taken, onDrain: taken, onEnd: taken, onClose() {} }
