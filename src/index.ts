/**
 * Sallyport as a library: `createGateway` starts in-process what `sallyport run` starts from a file.
 *
 *     const gateway = await createGateway({ listen: [{ port: 8443 }], sites: [...] })
 *     gateway.ports // [8443]
 *     await gateway.drain()
 */
/// <reference types="node" preserve="true" />
import { UsageError } from './base/errors.ts'
import type { ConfigInput } from './config/config.ts'
import { loadConfig } from './config/load.ts'
import { Gateway, type GatewayOptions } from './gateway/gateway.ts'

export type { ConfigInput, ListenInput, RouteInput, SiteInput, UpstreamInput } from './config/config.ts'
export { Admin, type AdminOptions } from './control/admin.ts'
export { Gateway, type GatewayOptions } from './gateway/gateway.ts'
export type {
  BodyOutput,
  BodyTransform,
  Filter,
  FilterExchange,
  FilterHeaders,
  FilterInput,
  Reply,
  RequestFilter,
} from './model/filter.ts'

/** Gives an editor the types; returns what it was given. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}

/** Starts a gateway with this configuration. Rejects with every mistake in it at once (`ConfigError`), or with what could not be bound. */
export async function createGateway(config: ConfigInput, options: GatewayOptions = {}): Promise<Gateway> {
  const loaded = await loadConfig({ value: config })
  if (loaded.config.admin !== null)
    throw new UsageError(
      'admin: is opened by sallyport run; here, leave it out and call new Admin(gateway).open({ listen: { port, address }, token })',
    )
  const gateway = new Gateway(loaded.config, options)
  for (const warning of loaded.warnings) gateway.log.write('warn', warning.message, { at: warning.path })
  await gateway.start()
  return gateway
}
