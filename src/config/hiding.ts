/** Values of environment variables and of secret files stay out of messages about a configuration. */
import type { Loaded } from './load.ts'

/** Runs what reads or starts a configuration: a mistake that it throws quotes no value of a variable or a file. */
export function hiding<T>({ hide }: Pick<Loaded, 'hide'>, work: () => T): T {
  const hidden = (error: unknown) => {
    if (error instanceof Error) error.message = hide(error.message)
    return error
  }
  try {
    const result = work()
    if (!(result instanceof Promise)) return result
    return result.catch(error => {
      throw hidden(error)
    }) as T
  } catch (error) {
    throw hidden(error)
  }
}
