/**
 * From samples to layers. Where TLS is a library of its own, its samples are the layer; in a runtime's binary it is what the same
 * row costs more than in cleartext there.
 */
import type { PeerName } from '../setup.ts'
import type { Samples } from './perf.ts'

/** One proxy in one row: CPU time per request, and where it was sampled */
type Sampled = { readonly cpuUs: number; readonly samples: Samples }

export type Profile = Sampled & { readonly isNoisy: boolean }

/** Microseconds per request */
export type Layers = {
  readonly kernel: number
  readonly tls: number
  /** The runtime's native code: event loop and sockets, JavaScript engine, garbage collector, C library */
  readonly runtime: number
  /** The proxy's own code: compiled JavaScript, or the binary of one that is written in C */
  readonly own: number
}

export const layerNames = ['kernel', 'tls', 'runtime', 'own'] as const satisfies readonly (keyof Layers)[]

export type LayerResult = {
  readonly caseId: string
  readonly peer: PeerName
  readonly layers: Layers
  /** Other processes used a good part of the proxy's core meanwhile */
  readonly isNoisy: boolean
}

const microseconds = ({ cpuUs, samples }: Sampled) => {
  const all = samples.kernel + samples.tlsLibrary + samples.compiled + samples.native
  const of = (count: number) => (all === 0 ? 0 : (cpuUs * count) / all)
  return {
    kernel: of(samples.kernel),
    tlsLibrary: of(samples.tlsLibrary),
    compiled: of(samples.compiled),
    native: of(samples.native),
  }
}

/** `cleartext` is the same row without TLS; null where the row has none, or the TLS library is a file of its own. */
export function splitLayers(profile: Sampled, cleartext: Sampled | null, isRuntime: boolean): Layers {
  const { kernel, tlsLibrary, compiled, native } = microseconds(profile)
  if (!isRuntime) return { kernel, tls: tlsLibrary, runtime: 0, own: native + compiled }
  const tls = cleartext === null ? 0 : Math.max(0, native - microseconds(cleartext).native)
  return { kernel, tls, runtime: native - tls, own: compiled }
}

export const totalOf = (layers: Layers): number => layerNames.reduce((total, name) => total + layers[name], 0)
