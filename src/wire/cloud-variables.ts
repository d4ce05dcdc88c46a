/** The names by which templates and log lines know what a PROXY header says of clouds. */
import type { CloudIds } from './proxy-header.ts'

type Pick = (ids: CloudIds) => string | null

const cloudVariables: readonly (readonly [name: string, docs: string, pick: Pick])[] = [
  [
    'proxy.awsVpceId',
    'AWS: the id of the VPC endpoint that the client came through, by the PROXY header.',
    ids => ids.awsVpceId,
  ],
  [
    'proxy.gcpConnectionId',
    'Google Cloud: the id of the Private Service Connect connection, by the PROXY header.',
    ids => ids.gcpConnectionId,
  ],
  ['proxy.azureLinkId', 'Azure: the link id of the private endpoint, by the PROXY header.', ids => ids.azureLinkId],
]

/** A table of them. */
export const cloudTable = <V>(variable: (docs: string, pick: Pick) => V): Record<string, V> =>
  Object.fromEntries(cloudVariables.map(([name, docs, pick]) => [name, variable(docs, pick)]))
