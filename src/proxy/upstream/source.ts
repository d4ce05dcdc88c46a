/**
 * What feeds a destination with endpoints: a fixed address here, names in dns-source.ts. A source that reads SRV records, a file or
 * the objects of a cluster is one more of these; it may give any number of places, each with a port of its own.
 */

/** Where one endpoint is. */
export type Place = {
  /** IP address; of a Unix socket its path */
  readonly address: string
  /** 0 for a Unix socket */
  readonly port: number
  readonly unix: boolean
}

export interface EndpointSource {
  /** What is known, each place once: the same array for as long as nothing has changed */
  readonly places: readonly Place[]
  /** Nothing is known yet, and somebody is finding out */
  readonly pending: boolean
  /** Why nothing is known, after it was tried; null before, and where something is */
  readonly problem: Error | null
  /** Somebody uses it: what is not known is found out, and what is known is kept fresh. Called for each request */
  want(): void
  /** No snapshot uses it any more: nothing is found out in advance. */
  stop(): void
}

/** What whoever uses a source tells it, and hears of it. */
export interface SourceUser {
  /** Whether something is connected to a place of this source, or about to be */
  inUse(): boolean
  /** An answer has come, or the hope of one is gone: `places`, `pending` or `problem` have changed */
  answered(): void
}

/** An address, or a path, that stands in the configuration. */
export function fixedSource(place: Place): EndpointSource {
  return { places: [place], pending: false, problem: null, want: nothing, stop: nothing }
}

// One function for ten thousand sites
const nothing = () => {}
