/**
 * Where certificates, accounts and challenge answers live: values by key, and locks. Files in a folder, or Redis for a
 * fleet; every process of a gateway and every node of a fleet sees the same.
 *
 * Keys are paths of `/`-separated parts, each 1 to 200 characters of `[a-z0-9._:-]` and never `.` or `..`; a wildcard
 * is written `_wildcard` by the caller. Other keys throw RangeError, so that no name from the network becomes a path.
 */

export interface Storage {
  /** For logs: `files in /var/lib/sallyport`, `redis 10.0.0.9:6379` */
  readonly name: string
  /** Null where there is none. Throws StorageError where it cannot be known. */
  get(key: string): Promise<Buffer | null>
  /**
   * Durable and atomic: afterwards a reader finds the old value or the new one, whenever the process is killed.
   * @param options.lease the write is refused (StorageError `lost`) when that lock has gone to somebody else meanwhile
   */
  put(key: string, value: Uint8Array, options?: { readonly ttlMs?: number; readonly lease?: Lease }): Promise<void>
  delete(key: string): Promise<void>
  /** Every key that begins with `prefix`, which ends with `/`, sorted. */
  list(prefix: string): Promise<readonly string[]>
  /**
   * Takes a damaged value out of the way, under a name that says so, and keeps it for people to look at.
   * @returns where it is now
   */
  setAside(key: string): Promise<string>
  /** Null where somebody else has it. A holder that dies loses it: at once, or when its lease ends. */
  lock(name: string): Promise<Lease | null>
  /**
   * Tells of keys under `prefix` that were put or deleted by any process, within some seconds; after an interruption
   * (Redis was away) with null: anything may have changed. @returns stops it
   */
  watch(prefix: string, changed: (key: string | null) => void): () => void
  close(): Promise<void>
}

export interface Lease {
  /** Grows with every holder of the lock */
  readonly fence: number
  /** Aborted when the lock is no longer ours */
  readonly lost: AbortSignal
  release(): Promise<void>
}

export class StorageError extends Error {
  /** `away`: cannot be reached, `full`: no room, `lost`: the lock went to somebody else, `damaged`: cannot be read as written */
  readonly kind: 'away' | 'full' | 'lost' | 'damaged' | 'refused'

  constructor(kind: StorageError['kind'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StorageError'
    this.kind = kind
  }
}
