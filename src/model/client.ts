/** The client of a request. A trusted proxy sends those of many clients on one connection. */
import type { CidrSet } from '../base/ip.ts'

/** Whom a request comes from: the connection itself, or the client that a trusted proxy names in this request. */
export type Client = {
  readonly clientAddress: string
  /** 0 where a trusted proxy did not say it */
  readonly clientPort: number
  /** The port the client came to; `publicPort` goes before it */
  readonly serverPort: number
  readonly publicPort: number | null
  /** The client came by https: to us, or to the trusted proxy. Never a reason to take the connection for TLS */
  readonly secure: boolean
}

/** Which peers may say who the client is, and where they say it. */
export type Trust = {
  readonly from: CidrSet
  readonly fields: 'x-forwarded' | 'forwarded' | 'cf-connecting-ip' | 'true-client-ip' | 'x-real-ip'
  /** The host that the proxy was asked for counts, in place of the one that the proxy asks for */
  readonly host: boolean
}
