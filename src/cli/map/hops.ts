/** What a map is made of: paths, and the hops of each. */
import { isIP } from 'node:net'
import path from 'node:path'
import type { Config } from '../../config/config.ts'

type Pattern =
  | 'edge'
  | 'bridge'
  | 'passthrough'
  | 'unwrap'
  | 'answered here'
  | 'cleartext'
  // Of the gateway itself
  | 'redirect'
  | 'connection'
  | 'listener'

export type Hop = {
  readonly from: string
  readonly to: string
  /** Null: not decrypted here, so that client and backend alone know */
  readonly encrypted: boolean | null
  /** With what, or what goes over the wire in the open */
  readonly how: string
  /** How each end knows the other */
  readonly verified: string
  /** The receiving end has proved its name; null: not known here */
  readonly serverVerified: boolean | null
  /** Both ends have proved who they are */
  readonly mutual: boolean
  /** Who holds the private key of the receiving end; null without TLS */
  readonly key: string | null
  /** Never leaves this machine */
  readonly onHost: boolean
}

export type Path = {
  readonly site: string
  readonly route: string
  readonly pattern: Pattern
  readonly hops: readonly Hop[]
  /** Where the content can be read */
  readonly plaintext: readonly string[]
  /** What looks at it in the gateway */
  readonly inspects: readonly string[]
  /** What is missing for the next stricter pattern */
  readonly missing: readonly string[]
}

/** As people write it: from the folder of the configuration, where it is in there. */
export function shown({ file }: Config, name: string): string {
  const relative = file === null ? name : path.relative(path.dirname(file), name)
  return relative.startsWith('..') ? name : relative
}

export const plain = (from: string, to: string, how: string, onHost: boolean): Hop => ({
  from,
  to,
  encrypted: false,
  how,
  verified: 'no verification',
  serverVerified: false,
  mutual: false,
  key: null,
  onHost,
})

type Place = Pick<Config['listen'][number], 'address' | 'port' | 'unix'>

/** A listener, in a sentence. */
export const placeOf = ({ address, port, unix }: Place): string => (unix ? `unix:${address}` : `port ${port}`)

/** Nobody but this machine gets there. */
export const isLocalPlace = ({ address, unix }: Place): boolean => unix || isLoopback(address)

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
