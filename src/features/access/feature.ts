/** `access`: which clients may send requests, by their addresses. */
import { ProxyError } from '../../base/errors.ts'
import { CidrSet } from '../../base/ip.ts'
import { addressRange } from '../../config/engine/forms.ts'
import type { Raw } from '../../config/engine/infer.ts'
import { shape } from '../../config/engine/kinds.ts'
import { needsNoBody, type Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'

const addresses = {
  type: 'list',
  of: { type: 'string', form: addressRange, write: 'address range' },
  single: true,
} as const

const accessShape = shape({
  name: 'access',
  docs:
    'Which clients may send requests; others get a 403. `deny` goes before `allow`, and nothing on an inner level lets in a client that an ' +
    'outer level keeps out. Behind a proxy in `trust`, the client is the one that the proxy names.',
  rows: {
    allow: {
      kind: addresses,
      docs: 'If it is there, only clients with these addresses may send requests.',
      example: '[10.0.0.0/8, "2001:db8::/32"]',
    },
    deny: {
      kind: addresses,
      docs: 'Clients with these addresses may not send requests.',
      example: '[192.0.2.7]',
    },
  },
})

export const access = feature({
  docs: 'Which clients may send requests, by address.',
  row: {
    kind: { type: 'object', shape: accessShape },
    docs: 'Which clients may send requests, by address. Lists of several levels all hold.',
    example: '{ allow: [10.0.0.0/8], deny: [10.9.0.0/16] }',
  },
  inherits: 'adds',
  keepsClientsOut: true,
  authorizes: 'requests',
  check(value, node, problems) {
    const { allow, deny } = listsOf(value)
    if (allow.length + deny.length === 0)
      problems.error(node.at, 'access has allow, deny, or both', 'as in access: { allow: [10.0.0.0/8] }')
  },
  compile: values => ({ outside: accessStage(values.map(compileLists)) }),
  explain(value) {
    const { allow, deny } = listsOf(value)
    const parts = [
      ...(deny.length > 0 ? [`not from ${deny.join(', ')}`] : []),
      ...(allow.length > 0 ? [`only from ${allow.join(', ')}`] : []),
    ]
    return parts.join('; ')
  },
})

const listsOf = ({ allow, deny }: Raw<typeof accessShape>) => ({
  allow: (allow ?? []).filter(range => range !== undefined),
  deny: (deny ?? []).filter(range => range !== undefined),
})

/** Of one level; `allow` is null where everybody is. */
type Lists = { readonly allow: CidrSet | null; readonly deny: CidrSet }

function compileLists(value: Raw<typeof accessShape>): Lists {
  const { allow, deny } = listsOf(value)
  return { allow: allow.length === 0 ? null : new CidrSet(allow), deny: new CidrSet(deny) }
}

function accessStage(levels: readonly Lists[]): Stage {
  return inner => (exchange, sink) => {
    const { refusal, client } = exchange
    // What is wrong with a request in itself is said to everybody; whether there is a route is not.
    if (refusal !== null && refusal.code !== 'NO_ROUTE') return inner(exchange, sink)
    const address = client.clientAddress
    for (let at = 0; at < levels.length; at++) {
      const { allow, deny } = levels[at] as Lists
      if (!deny.contains(address) && (allow === null || allow.contains(address))) continue
      const why = `the client ${address} is ${deny.contains(address) ? 'denied' : 'not allowed'} by access`
      exchange.failThrough(sink, new ProxyError('ACCESS_DENIED', why))
      return needsNoBody
    }
    return inner(exchange, sink)
  }
}
