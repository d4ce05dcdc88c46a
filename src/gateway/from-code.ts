/** The configuration of an embedded gateway: an object as for `defineConfig`, or the path of a file. */
import { UsageError } from '../base/errors.ts'
import type { ConfigInput } from '../config/config.ts'
import { type Loaded, loadConfig } from '../config/load.ts'

/** Rejects with ConfigError, which has all mistakes, and with UsageError for options of `sallyport run` that have no effect here. */
export async function loadFromCode(input: ConfigInput | string): Promise<Loaded> {
  const loaded = await loadConfig(typeof input === 'string' ? { file: input } : { value: input })
  const { admin, workers } = loaded.config
  if (admin !== null)
    throw new UsageError(
      'admin: is opened by sallyport run; here, leave it out and call new Admin(gateway).open({ listen: { port, address }, token })',
    )
  if (workers !== 1)
    throw new UsageError(
      `workers: ${workers} processes are started by sallyport run; a gateway that is embedded is one: leave it out, or set it to 1`,
    )
  return loaded
}
