/** Waiting for an end that may not come. */

/** @param listen is given what to call at the end @returns settles then, or after `ms` */
export function within(ms: number, listen: (ended: () => void) => void): Promise<void> {
  return new Promise(resolve => {
    const late = setTimeout(resolve, ms)
    listen(() => {
      clearTimeout(late)
      resolve()
    })
  })
}
