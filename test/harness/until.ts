/** Waits for states that no event tells of. */

/** Resolves when `holds` does; rejects after `withinMs`, saying `what` was waited for. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** The same for a condition that speaks for itself. */
export const until = (holds: () => boolean, withinMs = 10_000): Promise<void> =>
  eventually(`${holds}`, holds, withinMs)
