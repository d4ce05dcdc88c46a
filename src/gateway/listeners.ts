/** What a reload does to the listeners: which stay bound with new options, which are new, and what cannot be changed. */
import { UsageError } from '../base/errors.ts'
import { ipv6IsOff, listenAt } from '../base/listen-at.ts'
import type { Log } from '../base/log.ts'
import type { Config, ListenConfig } from '../config/config.ts'
import { placeText } from '../config/listen-address.ts'
import type { Listener } from '../proxy/accept/listener.ts'
import { freeSocketPath } from '../transport/unix-socket.ts'

export type ListenerPlan = {
  /** In the order of the configuration */
  readonly all: Listener[]
  readonly kept: ReadonlyMap<Listener, ListenConfig>
  readonly fresh: readonly Listener[]
}

/** A listener stays bound if its address and port are unchanged; everything else about it is replaced. */
export function planListeners(
  wanted: readonly ListenConfig[],
  current: readonly Listener[],
  make: (listen: ListenConfig) => Listener,
): ListenerPlan {
  const kept = new Map<Listener, ListenConfig>()
  const fresh: Listener[] = []
  const all = wanted.map(listen => {
    const known = current.find(
      listener =>
        !kept.has(listener) &&
        listener.options.address === listen.address &&
        (listener.options.port === listen.port || listener.port === listen.port),
    )
    if (known !== undefined) {
      if (known.options.backlog !== listen.backlog)
        throw new UsageError(
          `listen.backlog of ${placeText(listen)} cannot be changed by a reload; restart the gateway`,
        )
      kept.set(known, listen)
      return known
    }
    const listener = make(listen)
    fresh.push(listener)
    return listener
  })
  return { all, kept, fresh }
}

/** Throws UsageError if one cannot be bound; then none of them is. */
export async function bindAll(fresh: readonly Listener[], current: readonly Listener[], log: Log): Promise<void> {
  try {
    for (const listener of fresh) await bind(listener, current, log)
  } catch (error) {
    for (const listener of fresh) listener.stopAccepting()
    throw error
  }
}

async function bind(listener: Listener, current: readonly Listener[], log: Log): Promise<void> {
  const { address, port, unixMode } = listener.options
  try {
    if (unixMode !== null) await freeSocketPath(address)
    const bound = await listenAt(address, at => listener.bind(at))
    if (bound !== address) log.write('warn', ipv6IsOff(port))
  } catch (error) {
    const code = (error as { code?: string }).code ?? ''
    const own = current.find(each => each.port === port)
    const hint =
      code === 'EACCES'
        ? ': ports below 1024 need root or CAP_NET_BIND_SERVICE'
        : code !== 'EADDRINUSE'
          ? `: ${(error as Error).message}`
          : own !== undefined
            ? `: listen.address cannot be changed from ${own.options.address} by a reload, since the port is in use; restart the gateway`
            : ': another program has it'
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `cannot listen on ${unixMode === null ? `${address}:${port}` : `unix:${address}`}${code ? ` (${code})` : ''}${hint}`,
    )
  }
}

/** Whether the set of peers that may state the client's address has changed. */
export const changesTrust = (before: ListenConfig | undefined, after: ListenConfig): boolean =>
  trusted(before) !== trusted(after)

const trusted = (listen: ListenConfig | undefined): string =>
  JSON.stringify([listen?.proxyProtocol ?? null, listen?.trust ?? null])

/** Throws UsageError for an option that a reload cannot change. The process that starts the workers refuses `workers`. */
export function refuseChange(before: Config, after: Config): void {
  if (before.state !== after.state)
    throw new UsageError(
      `state: cannot be changed from ${before.state} to ${after.state} by a reload; restart the gateway`,
    )
}
