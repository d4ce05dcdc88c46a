/** Resolves when `holds` does; rejects after `withinMs`. For states that no event tells of. */
export async function until(holds: () => boolean, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${holds}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}
