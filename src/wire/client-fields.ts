/**
 * Fields by which gateways tell a backend who the client is. What a client sends under such a name is dropped on every
 * listener, since a backend that was configured for another gateway may believe it. docs/client-fields.md lists them from
 * here; `listen.fields.allow` lets single ones through, but none that this gateway writes itself.
 */

type ClientField = {
  /** In lower case; with a `*` at its end, all that begin so */
  readonly name: string
  /** Who writes it */
  readonly by: string
  /** Written by this gateway, always or on request */
  readonly own: boolean
}

const own = (...names: readonly string[]): ClientField[] =>
  names.map(name => ({ name, by: 'this gateway', own: true }))
const other = (by: string, ...names: readonly string[]): ClientField[] =>
  names.map(name => ({ name, by, own: false }))

export const clientFields: readonly ClientField[] = [
  ...own('forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port'),
  ...own('x-forwarded-client-cert', 'client-cert', 'client-cert-chain', 'x-client-cert', 'x-client-dn'),
  ...own('x-ja4', 'x-ja3'),
  ...other(
    'many proxies',
    'x-real-ip',
    'x-forwarded-ssl',
    'x-forwarded-scheme',
    'x-forwarded-server',
    'x-client-ip',
  ),
  ...other('authenticating proxies', 'x-forwarded-user', 'x-remote-user'),
  ...other('Cloudflare, Akamai', 'true-client-ip', 'cf-connecting-ip', 'cf-connecting-ipv6'),
  ...other('Rackspace, Zscaler', 'x-cluster-client-ip'),
  ...other('HAProxy, F5', 'x-ssl-client-*', 'x-ssl-cert'),
  ...other('nginx, Ingress NGINX', 'ssl-client-*'),
  ...other('Azure', 'x-arr-clientcert', 'x-arr-ssl'),
  ...other('AWS', 'x-amzn-mtls-*'),
]

/** Names in full. */
export const clientFieldNames: readonly string[] = clientFields
  .map(({ name }) => name)
  .filter(name => !name.endsWith('*'))
export const clientFieldPrefixes: readonly string[] = clientFields
  .filter(({ name }) => name.endsWith('*'))
  .map(({ name }) => name.slice(0, -1))
export const ownClientFields: ReadonlySet<string> = new Set(
  clientFields.filter(each => each.own).map(({ name }) => name),
)

const prefixes = clientFieldPrefixes.map(prefix => Buffer.from(prefix, 'latin1'))

/** Whether the name at `bytes[from, to)`, in any case, begins as a family of them does. */
export function inClientFamily(bytes: Uint8Array, from: number, to: number): boolean {
  const first = (bytes[from] as number) | 0x20
  // `x-...` and `ssl-...`: hardly any other name gets further.
  if (first !== 120 && first !== 115) return false
  for (const prefix of prefixes) {
    if (to - from < prefix.length) continue
    let same = 0
    while (same < prefix.length && ((bytes[from + same] as number) | 0x20) === prefix[same]) same++
    if (same === prefix.length) return true
  }
  return false
}
