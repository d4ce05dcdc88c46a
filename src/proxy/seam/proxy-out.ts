/** The PROXY header that tells a backend who the client is (HAProxy's specification, versions 1 and 2). */
import { unixPeer } from '../../base/ip.ts'
import type { Connection } from '../../model/connection.ts'
import type { ProxyTlv } from '../../wire/proxy-header.ts'
import { writeProxyV1 } from '../../wire/proxy-protocol-v1.ts'
import { writeProxyV2 } from '../../wire/proxy-protocol-v2.ts'
import { authorityTlv, sslTlv } from '../../wire/proxy-tlv.ts'

/** @param terminated TLS ended here, so what it settled is ours to tell */
export function proxyHeaderFor(
  version: 'v1' | 'v2' | null,
  connection: Connection,
  terminated: boolean,
): Buffer | null {
  if (version === null) return null
  const { link } = connection
  // A Unix socket has no addresses to tell of.
  const known = connection.clientAddress !== unixPeer
  const source = known ? { address: connection.clientAddress, port: connection.clientPort } : null
  const own = connection.serverAddress || link.localAddress
  const destination = known ? { address: own, port: connection.serverPort } : null
  if (version === 'v1') return writeProxyV1({ source, destination })
  const tlvs: ProxyTlv[] = []
  if (connection.serverName !== null) tlvs.push(authorityTlv(connection.serverName))
  const settled = terminated ? link.tls : null
  if (settled !== null) {
    const { version, cipher } = settled
    const { identity } = connection
    const shown = { certificate: true, verified: true, commonName: identity?.commonName }
    tlvs.push(sslTlv({ version, cipher, ...(identity === null ? {} : shown) }))
  }
  return writeProxyV2({ source, destination, tlvs })
}
