/** A gateway in this process on a free port, with its log at hand and its own state folder. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { openLocalCa } from '../../src/certs/ca/local-ca.ts'
import type { ConfigInput, ListenInput, RouteInput, SiteInput } from '../../src/config/config.ts'
import type { GatewayOptions } from '../../src/gateway/gateway-options.ts'
import { createGateway, type Gateway } from '../../src/index.ts'
import { temporaryFolder } from './certificates.ts'
import { noticed } from './until.ts'

export type Started = {
  readonly gateway: Gateway
  /** Of the first listener */
  readonly port: number
  readonly ports: readonly number[]
  /** The local CA, PEM, and its file */
  readonly caPem: string
  readonly caFile: string
  /** The log so far, an object a line */
  logs(): Record<string, unknown>[]
  /** Resolves with the first record, old or new, that `wanted` accepts */
  logged(wanted: (record: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  stop(): Promise<void>
}

/** The site that most tests need: `localhost`, with a certificate of the local CA and these routes. */
export const localhostWith = (...routes: RouteInput[]): SiteInput[] => [
  { host: 'localhost', certificate: 'local', routes },
]

/** For tests that look at bytes. */
export const cleartextListener: readonly ListenInput[] = [{ port: 0, address: '127.0.0.1', cleartext: 'serve' }]

/** `listen` is one TLS listener on 127.0.0.1 when left out. */
export async function startGateway(
  config: Omit<ConfigInput, 'listen'> & { listen?: readonly ListenInput[] },
  options: GatewayOptions = {},
): Promise<Started> {
  const state = config.state ?? temporaryFolder('sallyport-state-')
  let text = ''
  const waiting = new Set<() => void>()
  const gateway = await createGateway(
    {
      listen: [{ port: 0, address: '127.0.0.1' }],
      log: { access: true, level: 'debug' },
      ...config,
      state,
    } as ConfigInput,
    {
      selfTested: true,
      ...options,
      out(lines) {
        text += lines
        for (const look of [...waiting]) look()
      },
    },
  )
  const logs = () => {
    // Access records are gathered for a moment.
    gateway.log.flush()
    return text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>)
  }
  const caFile = path.join(state, 'local-ca', 'ca.pem')
  const ca = openLocalCa(state)
  return {
    gateway,
    port: gateway.ports[0] as number,
    ports: gateway.ports,
    caPem: readFileSync(ca.file ?? caFile, 'utf8'),
    caFile,
    logs,
    logged: wanted =>
      noticed(
        () => `a record for ${wanted}; the last are ${text.slice(-2_000)}`,
        waiting,
        () => logs().find(wanted),
      ),
    async stop() {
      await gateway.drain(0)
    },
  }
}
