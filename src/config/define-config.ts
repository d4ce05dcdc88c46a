/**
 * What a user writes, typed, for `sallyport.config.ts` and for the library. The types come from the schema rows, so they
 * cannot differ from what is read; meaning, units and defaults of every key are in docs/config.md.
 */
import type { Input } from './engine/infer.ts'
import type { listenShape } from './schema/listen.ts'
import type { routeShape } from './schema/route.ts'
import type { siteShape } from './schema/site.ts'
import type { upstreamShape } from './schema/upstream.ts'
import type { configShape } from './schema.ts'

export interface ConfigInput extends Input<typeof configShape> {}
export interface ListenInput extends Input<typeof listenShape> {}
/** Exactly one of `to`, `routes`, `passthrough` and `tcp`. */
export interface SiteInput extends Input<typeof siteShape> {}
/** Exactly one of `to`, `redirect` and `respond`. */
export interface RouteInput extends Input<typeof routeShape> {}
export interface UpstreamInput extends Input<typeof upstreamShape> {}

/** Gives an editor the types; answers what it was given. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}
