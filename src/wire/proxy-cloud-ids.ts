/**
 * The fields by which clouds say, in a PROXY header of version 2, through which private connection a client has come. Their types
 * are in the range that anybody may use for anything (0xE0 to 0xEF): what does not look as documented belongs to somebody else
 * and is not there. Two that do are a contradiction.
 *
 * AWS: docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html, "PROXY protocol". Azure:
 * learn.microsoft.com/azure/private-link/private-link-service-overview, "TCP Proxy v2". GCP:
 * cloud.google.com/vpc/docs/about-vpc-hosted-services, "PROXY protocol".
 */
import type { CloudIds, ProxyTlv } from './proxy-header.ts'

const types = { gcp: 0xe0, aws: 0xea, azure: 0xee } as const
/** Of AWS's and Azure's fields this is the kind that has the id. */
const idKind = 0x01
/** AWS's ids have 22 characters. */
const longestId = 64

/** @returns null where there is none; a string says what is wrong */
export function cloudIds(tlvs: readonly ProxyTlv[]): CloudIds | string | null {
  const ids = {
    awsVpceId: null as string | null,
    gcpConnectionId: null as string | null,
    azureLinkId: null as string | null,
  }
  let found = false
  for (const { type, value } of tlvs) {
    const [name, id] = idOf(type, value)
    if (id === null) continue
    if (ids[name] !== null) return `field 0x${type.toString(16)} comes twice`
    ids[name] = id
    found = true
  }
  return found ? ids : null
}

function idOf(type: number, value: Uint8Array): [name: keyof CloudIds, id: string | null] {
  switch (type) {
    case types.aws:
      return ['awsVpceId', value[0] === idKind ? wordIn(value, 1) : null]
    case types.azure:
      return [
        'azureLinkId',
        value[0] === idKind && value.length === 5 ? `${numberOf(value, 1).readUInt32LE(0)}` : null,
      ]
    case types.gcp:
      return ['gcpConnectionId', value.length === 8 ? `${numberOf(value, 0).readBigUInt64BE(0)}` : null]
    default:
      return ['awsVpceId', null]
  }
}

const numberOf = (value: Uint8Array, from: number): Buffer =>
  Buffer.from(value.buffer, value.byteOffset + from, value.length - from)

/** Letters, digits and hyphens, or null: it stands in logs and header fields. */
function wordIn(value: Uint8Array, from: number): string | null {
  if (value.length === from || value.length - from > longestId) return null
  let word = ''
  for (let at = from; at < value.length; at++) {
    const char = String.fromCharCode(value[at] as number)
    if (!/[A-Za-z0-9-]/.test(char)) return null
    word += char
  }
  return word
}
