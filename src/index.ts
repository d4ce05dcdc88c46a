/**
 * Sallyport as a library: `createGateway` starts in-process what `sallyport run` starts from a file.
 *
 *     const gateway = await createGateway({ listen: [{ port: 8443 }], sites: [...] })
 *     gateway.ports // [8443]
 *     await gateway.reload({ listen: [{ port: 8443 }], sites: [...] })
 *     await gateway.drain()
 *
 * docs/embedding.md has the rest.
 */
/// <reference types="node" preserve="true" />
import type { ConfigInput } from './config/config.ts'
import { hiding } from './config/hiding.ts'
import { loadFromCode } from './gateway/from-code.ts'
import { Gateway } from './gateway/gateway.ts'
import type { GatewayOptions } from './gateway/gateway-options.ts'

export { UsageError } from './base/errors.ts'
export type { CertificateRow } from './certs/files/list.ts'
export type { ConfigInput, ListenInput, RouteInput, SiteInput, UpstreamInput } from './config/config.ts'
export { ConfigError, type Problem } from './config/engine/problem.ts'
export { Admin, type AdminOptions } from './control/admin.ts'
export { Gateway, type Readiness } from './gateway/gateway.ts'
export type { GatewayEvent, GatewayOptions } from './gateway/gateway-options.ts'
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
export type {
  CertificateRecord,
  ConnectionRecord,
  EndedConnection,
  FailedHandshake,
  Fault,
  ObservedConnection,
  Observer,
  RefusedRequest,
  RequestRecord,
} from './model/records.ts'

/** Gives an editor the types; returns what it was given. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}

/**
 * Starts a gateway with this configuration, or with the one in this file. Rejects with every mistake in it at once (ConfigError), or
 * with what cannot be had (UsageError), and leaves nothing open then.
 */
export async function createGateway(config: ConfigInput | string, options: GatewayOptions = {}): Promise<Gateway> {
  const loaded = await loadFromCode(config)
  return await hiding(loaded, async () => {
    const gateway = new Gateway(loaded.config, options)
    for (const { message, path } of loaded.warnings) gateway.log.write('warn', message, { at: path })
    await gateway.start()
    return gateway
  })
}
