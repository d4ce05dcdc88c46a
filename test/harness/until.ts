/** Waits for states that no event tells of. The deadlines only end a test that would hang: a busy machine takes its time. */

/** Resolves when `holds` does; rejects after `withinMs`, saying `what` was waited for, and may say what there was instead. */
export async function eventually(
  what: string | (() => string),
  holds: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new Error(`not within ${withinMs} ms: ${typeof what === 'string' ? what : what()}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** The same for a condition that speaks for itself. */
export const until = (holds: () => boolean, withinMs = 60_000): Promise<void> =>
  eventually(`${holds}`, holds, withinMs)

/**
 * The same with an event: resolves with the first thing but undefined that `look` gives, which is called now and by whoever
 * has something new and calls all of `waiting`. `look` may throw, when what it waits for cannot come any more.
 */
export function noticed<T>(
  what: () => string,
  waiting: Set<() => void>,
  look: () => T | undefined,
  withinMs = 120_000,
): Promise<T> {
  const found = new Promise<T>((resolve, reject) => {
    const end = (act: () => void) => {
      waiting.delete(check)
      clearTimeout(timer)
      act()
    }
    const check = () => {
      try {
        const seen = look()
        if (seen !== undefined) end(() => resolve(seen))
      } catch (error) {
        end(() => reject(error))
      }
    }
    const late = () => reject(new Error(`not within ${withinMs} ms: ${what()}`))
    const timer = setTimeout(() => end(late), withinMs).unref()
    waiting.add(check)
    check()
  })
  // A test that has failed elsewhere does not wait for it any more.
  found.catch(() => {})
  return found
}
