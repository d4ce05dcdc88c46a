/** The whole configuration as rows: one per option. Validation, defaults, docs/config.md and the JSON Schema come from here. */

import { featureRows } from '../features/all.ts'
import { addressRange, policyName, snippetName, upstreamName } from './engine/forms.ts'
import { shape } from './engine/kinds.ts'
import { includePattern } from './include-pattern.ts'
import { acmeShape } from './schema/acme.ts'
import { adminShape } from './schema/admin.ts'
import { alertsShape } from './schema/alerts.ts'
import { caShape } from './schema/ca.ts'
import { limitsShape, timeoutsShape } from './schema/limits.ts'
import { listenShape } from './schema/listen.ts'
import { logShape } from './schema/log.ts'
import { policyShape } from './schema/policy.ts'
import { siteShape } from './schema/site.ts'
import { storageShape } from './schema/storage.ts'
import { ticketsShape } from './schema/tickets.ts'
import { listName, trustShape } from './schema/trust.ts'
import { upstreamShape } from './schema/upstream.ts'
import { useRow } from './schema/use.ts'
import { vaultShape } from './schema/vault.ts'

const defaultsShape = shape({
  name: 'defaults',
  docs: 'Options that can also be set on a site or a route. Each option says how an inner value combines with an outer one.',
  rows: { use: useRow, ...featureRows },
})

export const configShape = shape({
  name: 'top level',
  docs: 'The keys at the top level of a file.',
  rows: {
    listen: {
      kind: { type: 'list', of: { type: 'object', shape: listenShape } },
      required: true,
      docs: 'The addresses and ports that accept connections.',
      example: '[{ port: 443 }, { port: 80, cleartext: redirect }]',
    },
    sites: {
      kind: { type: 'list', of: { type: 'object', shape: siteShape } },
      required: true,
      docs: 'Host names, and how TLS is handled for each. They may also come from files under `include`.',
      example: '[{ host: shop.example.com, certificate: local, to: "http://10.0.0.5:3000" }]',
    },
    include: {
      kind: {
        type: 'list',
        of: { type: 'string', form: includePattern, write: 'file, or pattern with `*`' },
        single: true,
      },
      docs:
        'Files whose `sites`, `upstreams`, `policies` and `snippets` are added ([config-files.md](config-files.md)). A `*` stands for any part of a ' +
        'name; the files that match are read in order of their names.',
      example: '[sites/*.yaml]',
    },
    defaults: {
      kind: { type: 'object', shape: defaultsShape },
      default: {},
      docs: 'Defaults for the requests of every site; a site or a route can add to them or override them.',
      example: '{ headers: { response: { remove: [server] } } }',
    },
    trust: {
      kind: { type: 'object', shape: trustShape },
      docs: 'HTTP proxies that may say who the client of a request is, for listeners that do not set `trust` themselves.',
      example: '{ from: [10.0.0.0/8], fields: forwarded }',
    },
    lists: {
      kind: {
        type: 'map',
        key: listName,
        keyName: 'name',
        of: { type: 'list', of: { type: 'string', form: addressRange, write: 'address range' }, single: true },
      },
      docs: 'Named lists of addresses, for `trust.from`.',
      example: '{ cloudflare: [173.245.48.0/20, 2400:cb00::/32] }',
    },
    snippets: {
      kind: { type: 'map', key: snippetName, keyName: 'name', of: { type: 'any' } },
      docs:
        'Named parts of sites and routes, put where `use` has their names ([config-files.md](config-files.md#snippets)). What a site or route says itself ' +
        'counts before its snippets.',
      example: '{ secure: { hsts: { maxAge: 15552000 }, headers: { response: { remove: [server] } } } }',
    },
    upstreams: {
      kind: { type: 'map', key: upstreamName, keyName: 'name', of: { type: 'object', shape: upstreamShape } },
      docs: 'Named upstreams, shared by routes as `to: NAME`.',
      example: '{ orders: { endpoints: [http://10.0.4.1:80, http://10.0.4.2:80] } }',
    },
    policy: {
      kind: { type: 'string', form: policyName, write: 'policy' },
      default: 'intermediate',
      docs: 'The TLS policy for sites that do not set one. `sallyport policies` lists them.',
      example: 'modern',
    },
    policies: {
      kind: { type: 'map', key: policyName, keyName: 'name', of: { type: 'object', shape: policyShape } },
      docs: 'Your own TLS policies.',
      example: '{ ours: { extends: intermediate, groups: [X25519MLKEM768, X25519] } }',
    },
    tickets: {
      kind: { type: 'object', shape: ticketsShape },
      default: {},
      docs: 'Keys for TLS session tickets, which let clients resume sessions. Node only.',
      example: '{ rotate: 6h, keep: 4 }',
    },
    log: {
      kind: { type: 'object', shape: logShape },
      default: {},
      docs: 'What is logged, and in which format.',
      example: '{ format: text }',
    },
    alerts: {
      kind: { type: 'object', shape: alertsShape },
      docs: 'A webhook that is called when certificates are about to expire, or cannot be read or renewed.',
      example: '{ url: "https://hooks.example.com/tls" }',
    },
    admin: {
      kind: { type: 'object', shape: adminShape },
      docs: 'Metrics and probes over HTTP. Off by default.',
      example: '{ listen: { port: 9090 } }',
    },
    state: {
      kind: { type: 'folder' },
      defaultDocs: '`$STATE_DIRECTORY`, else `.sallyport` beside the file',
      docs:
        'The folder for everything that must outlive the process: the local CA, the root of the ticket keys, OCSP responses. Created ' +
        'when first needed.',
      example: '/var/lib/sallyport',
    },
    acme: {
      kind: { type: 'object', shape: acmeShape },
      docs: "Certificates from an ACME CA, for sites with `certificate: acme`. Let's Encrypt by default.",
      example: '{ email: ops@example.com }',
    },
    storage: {
      kind: { type: 'object', shape: storageShape },
      docs: 'Where certificates are stored, for one gateway or a fleet. Files in `state` by default.',
      example: '{ redis: rediss://redis.internal:6379/0 }',
    },
    ca: {
      kind: { type: 'object', shape: caShape },
      docs: 'The internal CA, for backends and their clients.',
      example: '{ allow: ["*.internal"], acme: { listen: { port: 9443 }, host: ca.internal } }',
    },
    vault: {
      kind: { type: 'object', shape: vaultShape },
      docs: 'HashiCorp Vault, for sites with `certificate: vault`.',
      example: '{ address: "https://vault.internal:8200", role: web, auth: { tokenFile: /run/vault/token } }',
    },
    limits: {
      kind: { type: 'object', shape: limitsShape },
      default: {},
      docs: 'Limits on sizes, numbers and memory.',
      example: '{ body: 10mb }',
    },
    timeouts: {
      kind: { type: 'object', shape: timeoutsShape },
      default: {},
      docs: 'How long each step may take.',
      example: '{ response: 5m }',
    },
    filters: {
      kind: { type: 'list', of: { type: 'filter' }, empty: true },
      docs: 'Filters for every route; TypeScript only.',
    },
    workers: {
      kind: { type: 'integer', min: 1, max: 1024, words: { auto: 'auto' } },
      default: 1,
      docs: 'Worker processes that accept connections; `auto` is one per core. `--workers` overrides it.',
      example: 'auto',
    },
  },
})
