/** What an ACME client is told when something is wrong (RFC 8555 section 6.7): a type, a status, and a sentence. */

type ProblemType =
  | 'accountDoesNotExist'
  | 'alreadyReplaced'
  | 'alreadyRevoked'
  | 'badCSR'
  | 'badNonce'
  | 'badPublicKey'
  | 'badRevocationReason'
  | 'badSignatureAlgorithm'
  | 'caa'
  | 'connection'
  | 'dns'
  | 'externalAccountRequired'
  | 'incorrectResponse'
  | 'invalidContact'
  | 'invalidProfile'
  | 'malformed'
  | 'orderNotReady'
  | 'rateLimited'
  | 'rejectedIdentifier'
  | 'serverInternal'
  | 'tls'
  | 'unauthorized'
  | 'unsupportedContact'
  | 'unsupportedIdentifier'

export type Identifier = { readonly type: 'dns' | 'ip'; readonly value: string }

/** As it stands in orders and challenges that have failed. */
export type ProblemText = {
  readonly type: string
  readonly detail: string
  readonly status: number
  readonly subproblems?: readonly {
    readonly type: string
    readonly detail: string
    readonly identifier: Identifier
  }[]
}

export class AcmeProblem extends Error {
  readonly type: ProblemType
  readonly status: number
  /** Further fields of the answer, such as Retry-After */
  readonly fields: Readonly<Record<string, string>>
  /** Further members of the document */
  readonly members: Readonly<Record<string, unknown>>

  constructor(
    type: ProblemType,
    status: number,
    detail: string,
    options: { fields?: Readonly<Record<string, string>>; members?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(detail)
    this.name = 'AcmeProblem'
    this.type = type
    this.status = status
    this.fields = options.fields ?? {}
    this.members = options.members ?? {}
  }

  get document(): ProblemText {
    return { type: typeOf(this.type), detail: this.message, status: this.status, ...this.members }
  }
}

export const typeOf = (type: ProblemType): string => `urn:ietf:params:acme:error:${type}`

export const malformed = (detail: string): AcmeProblem => new AcmeProblem('malformed', 400, detail)
export const unauthorized = (detail: string): AcmeProblem => new AcmeProblem('unauthorized', 403, detail)
/** Also for what belongs to another account: that it exists is not said. */
export const notFound = (what: string): AcmeProblem => new AcmeProblem('malformed', 404, `there is no such ${what}`)

/** @param afterMs when to come back */
export function rateLimited(detail: string, afterMs: number): AcmeProblem {
  const seconds = Math.max(1, Math.ceil(afterMs / 1000))
  return new AcmeProblem('rateLimited', 429, detail, { fields: { 'retry-after': `${seconds}` } })
}
