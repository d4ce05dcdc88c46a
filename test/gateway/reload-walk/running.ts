/** A running gateway as the tables look at it: by requests, and by the parts that serve them. */

import assert from 'node:assert/strict'
import { loadConfig } from '../../../src/config/load.ts'
import type { Gateway } from '../../../src/gateway/gateway.ts'
import { createGateway } from '../../../src/index.ts'
import type { ClientIdentity } from '../../../src/model/client-identity.ts'
import type { Route } from '../../../src/model/route.ts'
import type { Site } from '../../../src/model/site.ts'
import type { Snapshot } from '../../../src/model/snapshot.ts'
import type { Sink, StagedExchange } from '../../../src/model/stage.ts'
import type { ServerTls } from '../../../src/model/tls-terms.ts'
import type { Listener } from '../../../src/proxy/accept/listener.ts'
import type { Upstream } from '../../../src/proxy/upstream/upstream.ts'
import type { ClientHello } from '../../../src/wire/client-hello.ts'
import { Fields } from '../../../src/wire/fields.ts'
import type { CloudIds } from '../../../src/wire/proxy-header.ts'
import { temporaryFolder } from '../../harness/certificates.ts'
import { rawTcp, rawTls } from '../../harness/raw.ts'

type Kept = {
  readonly issuer: { readonly name: string }
  readonly renewer: {
    readonly options: { readonly keys: readonly string[]; readonly renewBeforeMs: number | null }
  }
  readonly demand: { readonly onDemand: { readonly terms: object } } | null
}

/** Parts that are private to the gateway */
type Parts = {
  readonly services: { readonly snapshot: Snapshot }
  readonly listeners: { readonly bound: readonly Listener[] }
  readonly managed: {
    readonly kept: ReadonlyMap<string, Kept>
    readonly opened: { readonly key: string; readonly storage: object } | null
    readonly internalCa: { readonly running: { readonly key: string; readonly server: object } | null }
  }
  readonly reports: {
    readonly alerts: {
      readonly target: { url: string; headers: object; trust: { ca: string | null }; timeoutMs: number } | null
    }
    readonly expiry: { readonly alertDays: readonly number[] }
  }
  readonly tickets: { readonly lifetimeSeconds: number; windows(): readonly object[] }
  readonly registries: {
    readonly endpoints: ReadonlyMap<string, { readonly endpoint: { readonly addresses: object } }>
  }
}

export type Request = {
  readonly path?: string
  readonly method?: string
  readonly host?: string
  /** Lines, each without its end */
  readonly fields?: readonly string[]
  /** Before the request */
  readonly first?: string
  /** Of the listener, from 0 */
  readonly listener?: number
  readonly body?: string
}

export class Running {
  readonly gateway: Gateway
  readonly parts: Parts
  private readonly state: string
  private readonly text: { all: string }
  warnings: readonly string[] = []

  private constructor(gateway: Gateway, state: string, text: { all: string }) {
    this.gateway = gateway
    this.parts = (gateway as unknown as { parts: Parts }).parts
    this.state = state
    this.text = text
  }

  static async start(config: object): Promise<Running> {
    const state = (config as { state?: string }).state ?? temporaryFolder()
    const text = { all: '' }
    const out = (lines: string) => void (text.all += lines)
    const gateway = await createGateway({ ...config, state } as never, { out, selfTested: true })
    return new Running(gateway, state, text)
  }

  /** Throws what is wrong. */
  async reload(config: object): Promise<void> {
    const loaded = await loadConfig({
      value: { ...config, state: (config as { state?: string }).state ?? this.state },
    })
    this.warnings = loaded.warnings.map(({ message }) => message)
    await this.gateway.apply(loaded.config)
  }

  /** All that comes for a request over a cleartext listener, or what went wrong instead */
  async ask(request: Request = {}): Promise<string> {
    const {
      path = '/',
      method = 'GET',
      host = 'a.test',
      fields = [],
      first = '',
      listener = 0,
      body = '',
    } = request
    try {
      const client = await rawTcp(this.gateway.ports[listener] as number)
      const length = body === '' ? [] : [`Content-Length: ${body.length}`]
      const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...length, ...fields]
      client.send(`${first}${lines.join('\r\n')}\r\n\r\n${body}`)
      return (await client.closed()).received
    } catch (error) {
      return String(error)
    }
  }

  /** A field of the answer over TLS, where the second listener is one; empty without it */
  async securely(field: string): Promise<string> {
    const client = await rawTls(this.gateway.ports[1] as number, { servername: 'a.test' })
    client.send('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    const { received } = await client.closed()
    return new RegExp(`^${field}: (.*)$`, 'im').exec(received)?.[1]?.trim() ?? ''
  }

  async status(request: Request = {}): Promise<string> {
    return (await this.ask(request)).slice(9, 12)
  }

  /** The head that the echoing backend got */
  async echoed(request: Request = {}): Promise<string> {
    return (await this.ask(request)).split('\r\n\r\n').slice(1).join('\r\n\r\n')
  }

  get snapshot(): Snapshot {
    return this.parts.services.snapshot
  }

  /** The first */
  listener(): Listener {
    return this.parts.listeners.bound[0] as Listener
  }

  site(host = 'a.test'): Site {
    return this.snapshot.site(host) ?? (this.snapshot.defaultSite as Site)
  }

  /** The route that a request of such a client takes */
  route(
    path = '/',
    identity: ClientIdentity | null = null,
    ja4: string | null = null,
    cloud: CloudIds | null = null,
  ): Route | null {
    const { action } = this.site()
    if (action.kind !== 'http') throw new Error(`${action.kind} has no routes`)
    const fingerprint = ja4 === null ? null : ({ ja4, ja3: '' } as never)
    return action.routes.find('GET', path, '', new Fields(''), { identity, fingerprint, cloud })
  }

  /** What a handshake of this name is made with */
  async terms(host = 'a.test'): Promise<ServerTls> {
    const { action } = this.site(host)
    if (action.kind === 'passthrough' || action.tls === null) throw new Error('TLS does not end here')
    const hello = { versions: [0x0304, 0x0303], signatureAlgorithms: [0x0403], cipherSuites: [0x1301] }
    return await action.tls.terms(hello as unknown as ClientHello, host)
  }

  /** What the first route, or the layer-4 site, asks */
  get upstream(): Upstream {
    const { action } = this.site()
    if (action.kind !== 'http') return action.upstream as Upstream
    const asked: Upstream[] = []
    const enough = new Error('this exchange is not carried out')
    const exchange = {
      head: { method: 'GET' },
      host: 'a.test',
      set attempts({ upstream }: { upstream: Upstream }) {
        asked.push(upstream)
        throw enough
      },
    }
    assert.throws(() => action.routes.routes[0]?.origin(exchange as unknown as StagedExchange, {} as Sink), enough)
    return asked[0] as Upstream
  }

  /** Issuers as they were opened, by their terms */
  issuer(kind: 'acme' | 'vault'): { readonly terms: string; readonly kept: Kept } {
    const all = [...this.parts.managed.kept].filter(([key]) => key.includes(` ${kind} `))
    const [terms, kept] = all[0] ?? ['', null]
    if (all.length !== 1 || kept === null) throw new Error(`${all.length} issuers of ${kind}`)
    openedWith(kept, terms)
    return { terms: terms.slice(terms.indexOf(` ${kind} `)), kept }
  }

  /** The terms that the storage in use was opened with */
  storage(): string {
    const { opened } = this.parts.managed
    if (opened === null) return 'none'
    openedWith(opened.storage, opened.key)
    return opened.key
  }

  /** The last lines of the log */
  logged(write: () => void): string {
    this.gateway.log.flush()
    const { length } = this.text.all
    write()
    this.gateway.log.flush()
    return this.text.all.slice(length)
  }

  /** Access records of a request that is over */
  async records(): Promise<number> {
    const count = () => this.text.all.split('"path":"/recorded"').length
    const before = count()
    const client = await rawTcp(this.gateway.ports[0] as number)
    const head = 'HTTP/1.1\r\nHost: a.test\r\n'
    client.send(`GET /recorded ${head}\r\n`)
    await client.until(text => text.includes('\r\n\r\n'))
    client.send(`GET / ${head}Connection: close\r\n\r\n`)
    await client.closed()
    this.gateway.log.flush()
    return count() - before
  }

  stop(): Promise<unknown> {
    return this.gateway.drain(0)
  }
}

const openings = new WeakMap<object, string>()

/** What was opened with some terms is never in use under others. */
function openedWith(opened: object, terms: string): void {
  const known = openings.get(opened) ?? terms
  openings.set(opened, terms)
  if (known !== terms) throw new Error(`opened with ${known}, in use as ${terms}`)
}
