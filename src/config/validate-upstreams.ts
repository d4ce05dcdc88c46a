/** Upstreams, from rows to config.ts: names are resolved to shared objects, and what belongs together is checked. */

import { hashes } from '../proxy/upstream/balance/all.ts'
import { type EndpointConfig, endpointLabel, type UpstreamConfig } from './config.ts'
import type { Endpoint, Target } from './engine/forms.ts'
import type { Raw, RawValue, Read } from './engine/infer.ts'
import { unknownName } from './engine/mistakes.ts'
import type { Problems } from './engine/problem.ts'
import { type Reader, readDefaults } from './engine/read.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import type { passthroughShape } from './schema/layer4.ts'
import { type targetKind, upstreamShape } from './schema/upstream.ts'

type Written = Raw<typeof upstreamShape>
type WrittenEndpoint = NonNullable<Written['endpoints']>[number]
/** With what its `{ url, weight, backup }` says beside the URL */
type OneEndpoint = Endpoint & { readonly weight?: number; readonly backup?: boolean }

/** Every upstream there is, named and in place. */
export class Upstreams {
  readonly #problems: Problems
  readonly #named = new Map<
    string,
    { upstream: UpstreamConfig | undefined; used: boolean; node: Node | undefined }
  >()
  readonly #inPlace: UpstreamConfig[] = []
  /** For a `to` that is a URL or a list of them */
  readonly #defaults: Written

  constructor(raw: ReadonlyMap<string, Written | undefined>, node: Node | undefined, reader: Reader) {
    const { problems } = reader
    this.#problems = problems
    this.#defaults = readDefaults(upstreamShape, reader) as Written
    for (const [name, one] of raw) {
      const at = node && childOf(node, name)
      this.#named.set(name, {
        upstream: one && at ? build(name, one, at, problems) : undefined,
        used: false,
        node: at,
      })
    }
  }

  /** The upstream that a `to` leads to, or undefined with the reason reported. `node` is the value of the `to`. */
  resolve(raw: RawValue<typeof targetKind> | undefined, node: Node): UpstreamConfig | undefined {
    if (!raw) return undefined
    if (raw.as === 'text' && raw.value.kind === 'name') return this.#find(raw.value.name, node)
    const name = node.at.path
    const endpoints =
      raw.as === 'text'
        ? [(raw.value as Target & { kind: 'endpoint' }).endpoint]
        : (raw.value as readonly Endpoint[])
    const upstream =
      raw.as === 'map'
        ? build(name, raw.value, node, this.#problems)
        : build(name, { ...this.#defaults, endpoints: endpoints.map(inText) }, node, this.#problems)
    if (upstream) this.#inPlace.push(upstream)
    return upstream
  }

  layer4(
    raw: Pick<Raw<typeof passthroughShape>, 'to' | 'balance' | 'proxyProtocol'> | undefined,
    node: Node,
  ): UpstreamConfig | undefined {
    if (!raw?.to || raw.balance === undefined || raw.proxyProtocol === undefined) return undefined
    checkRepeated(raw.to, node, 'to', this.#problems)
    const upstream: UpstreamConfig = {
      // What is about HTTP has no effect at layer 4, where a connection is used once.
      ...(this.#defaults as Read<typeof upstreamShape>),
      name: `${node.at.path}.to`,
      scheme: 'tcp',
      endpoints: raw.to.map(withoutScheme),
      balance: raw.balance,
      tls: null,
      pool: { idle: 0 },
      proxyProtocol: raw.proxyProtocol,
    }
    this.#inPlace.push(upstream)
    return upstream
  }

  /** Also warns about the named ones that nothing names. */
  finish(): UpstreamConfig[] {
    const all: UpstreamConfig[] = []
    for (const [name, { upstream, used, node }] of this.#named) {
      if (!used && node)
        this.#problems.warn(node.at, `the upstream ${name} is not used`, `a route uses it with to: ${name}`)
      if (upstream) all.push(upstream)
    }
    return [...all, ...this.#inPlace]
  }

  #find(name: string, node: Node): UpstreamConfig | undefined {
    const found = this.#named.get(name)
    if (found) {
      found.used = true
      return found.upstream
    }
    const hint = unknownName(name, [...this.#named.keys()])
    const other = `define it under upstreams, or write a URL: http://${name}:8080`
    this.#problems.error(node.at, `there is no upstream ${name}`, hint ?? other)
    return undefined
  }
}

function build(name: string, raw: Written, node: Node, problems: Problems): UpstreamConfig | undefined {
  const { tls, http } = raw
  const endpoints = raw.endpoints && complete(raw.endpoints.map(oneEndpoint))
  if (!endpoints) return undefined
  const scheme = endpoints[0]!.scheme
  const other = endpoints.findIndex(endpoint => endpoint.scheme !== scheme)
  if (other > 0) {
    const hint = 'one upstream is all http, all https or all h2c; give them routes or upstreams of their own'
    const list = childOf(node, 'endpoints') ?? node
    problems.error(
      placeOf(list, other),
      `${endpoints[other]!.scheme}:// and ${scheme}:// endpoints are mixed`,
      hint,
    )
    return undefined
  }
  checkRepeated(endpoints, node, 'endpoints', problems)
  checkBalance(raw, endpoints, node, problems)
  if (childOf(node, 'tls') && scheme !== 'https') {
    problems.error(
      placeOfKey(node, 'tls'),
      `tls is for https:// endpoints, and these are ${scheme}://`,
      'write https://, or remove tls',
    )
  }
  if (scheme === 'h2c' && http === 1) {
    problems.error(
      placeOfKey(node, 'http'),
      'http: 1, and h2c:// endpoints speak HTTP/2',
      'write http://, or http: 2',
    )
    return undefined
  }
  if ((raw.lenient?.length ?? 0) > 0 && (scheme === 'h2c' || http === 2)) {
    problems.error(
      placeOfKey(node, 'lenient'),
      'lenient: it is for HTTP/1.1 backends, and these speak HTTP/2',
      'remove lenient, or let the backends speak HTTP/1.1: http: 1',
    )
  }
  if (tls?.spiffe !== undefined && tls.spiffe.length > 0 && !checkSpiffe(tls, node, problems)) return undefined
  const unnamed = scheme === 'https' && endpoints.find(each => each.unix === true)
  if (unnamed && tls?.verify !== false && (tls?.serverName ?? null) === null && tls?.spiffe?.length === 0) {
    problems.error(
      placeOf(node, 'endpoints'),
      `https+unix:${unnamed.host}: a path is no name that a certificate could be verified for`,
      'write tls: { serverName: the name in the certificate }, or tls: { spiffe }',
    )
    return undefined
  }
  if (tls?.verify === false) {
    const hint = 'give tls.ca the CA of the backend instead'
    problems.warn(
      placeOf(node, 'tls', 'verify'),
      'verify: false: anyone on the path can pose as this backend',
      hint,
    )
  }
  if (tls) warnOfTrust(tls, node, problems)
  const read = whole(upstreamShape, raw)
  return (
    read && {
      ...read,
      name,
      scheme: scheme === 'h2c' ? 'http' : scheme,
      http: scheme === 'h2c' ? 2 : read.http,
      endpoints: endpoints.map(withoutScheme),
      tls: scheme === 'https' ? read.tls : null,
      proxyProtocol: null,
    }
  )
}

/** Each of these lets somebody in who proves less than they should. */
function warnOfTrust(tls: NonNullable<Written['tls']>, node: Node, problems: Problems): void {
  if (tls.weak === 'allow') {
    problems.warn(
      placeOf(node, 'tls', 'weak'),
      'weak: allow: backend certificates with short keys or with SHA-1 or MD5 signatures can be forged',
      'have them issued again, with SHA-256 and RSA of 2048 bits or ECDSA',
    )
  }
  if (tls.commonName === 'allow') {
    problems.warn(
      placeOf(node, 'tls', 'commonName'),
      'commonName: allow: CAs that limit names do not look at the common name of a backend certificate',
      'have the certificate issued with the name in subjectAltName',
    )
  }
}

/** Fails closed: an id proves nothing by itself, only with the CAs of its trust domain. */
function checkSpiffe(tls: NonNullable<Written['tls']>, node: Node, problems: Problems): boolean {
  const at = placeOf(node, 'tls', 'spiffe')
  if (tls.verify === false) {
    problems.error(at, 'tls.spiffe and verify: false: nothing would be verified', 'remove verify')
    return false
  }
  if (tls.caFile !== null) return true
  const hint = 'give tls.ca the bundle of the trust domain; the CAs of the runtime issue no SPIFFE ids'
  problems.error(at, 'tls.spiffe needs tls.ca', hint)
  return false
}

const inText = (value: Endpoint) => ({ as: 'text', value }) as const

const complete = (all: readonly (OneEndpoint | undefined)[]): readonly OneEndpoint[] | undefined =>
  all.includes(undefined) ? undefined : (all as readonly OneEndpoint[])

/** @returns undefined where something in it is wrong, and reported */
function oneEndpoint(written: WrittenEndpoint): OneEndpoint | undefined {
  if (written?.value === undefined) return undefined
  if (written.as === 'text') return written.value
  const { url, weight, backup } = written.value
  if (url === undefined || weight === undefined || backup === undefined) return undefined
  return { ...url, ...(weight === 1 ? {} : { weight }), ...(backup ? { backup } : {}) }
}

function checkBalance(
  { balance, hash }: Written,
  endpoints: readonly OneEndpoint[],
  node: Node,
  problems: Problems,
): void {
  if (hash && balance !== undefined && !hashes(balance))
    problems.error(
      placeOfKey(node, 'hash'),
      `hash has no effect with balance: ${balance}`,
      'write balance: ring-hash or balance: maglev, or remove hash',
    )
  if (hash?.as === 'map' && hash.value !== undefined) {
    const given = Object.values(hash.value).filter(each => each !== null)
    if (given.length !== 1)
      problems.error(
        placeOf(node, 'hash'),
        'hash has one of header, cookie and query',
        'as in hash: { cookie: sid }',
      )
  }
  if (endpoints.every(each => each.backup === true))
    problems.error(placeOf(node, 'endpoints'), 'all endpoints are backups', 'remove backup from at least one')
}

function withoutScheme({ scheme: _scheme, ...endpoint }: OneEndpoint): EndpointConfig {
  return endpoint
}

function checkRepeated(endpoints: readonly Endpoint[], node: Node, key: string, problems: Problems): void {
  if (endpoints.length < 2) return
  const seen = new Set<string>()
  for (const endpoint of endpoints) {
    const name = endpointLabel(withoutScheme(endpoint))
    if (seen.has(name))
      problems.warn(
        placeOf(node, key),
        `the endpoint ${name} is listed twice`,
        'it gets twice the requests; to say so, write { url, weight: 2 } once',
      )
    seen.add(name)
  }
}
