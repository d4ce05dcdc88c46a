/** A CA as its directory describes it (RFC 8555 section 7.1.1), and the connections and nonces that go with it. */
import { IssueError } from '../model/issuer.ts'
import { type HttpClient, isSafeUrl, shownUrl } from './http.ts'
import { Nonces } from './nonce.ts'
import { excerpt, jsonOrNull, problemError } from './problem.ts'

export type Directory = {
  readonly newNonce: string
  readonly newAccount: string
  readonly newOrder: string
  readonly revokeCert: string
  readonly keyChange: string | null
  /** RFC 9773 section 4.1 */
  readonly renewalInfo: string | null
  readonly termsOfService: string | null
  readonly externalAccountRequired: boolean
  /** draft-ietf-acme-profiles: name and description */
  readonly profiles: ReadonlyMap<string, string>
}

/** A directory changes with new versions of a CA; asking once a day is enough to see it. */
const maxAgeMs = 86_400_000
const maxProfiles = 50

export class Ca {
  /** Of the directory */
  readonly url: string
  readonly http: HttpClient
  readonly nonces = new Nonces()
  #known: { readonly directory: Directory; readonly at: number } | null = null

  constructor(url: string, http: HttpClient) {
    this.url = url
    this.http = http
  }

  /** A URL that the CA names: in clear text only where its directory is, or a hostile CA could have us speak to programs beside us. */
  mayAsk(url: string): boolean {
    return isSafeUrl(url) && (url.startsWith('https:') || this.url.startsWith('http:'))
  }

  async directory(signal: AbortSignal): Promise<Directory> {
    if (this.#known !== null && performance.now() - this.#known.at < maxAgeMs) return this.#known.directory
    const what = `GET ${shownUrl(this.url)}`
    if (!isSafeUrl(this.url))
      throw new IssueError('rejected', `${shownUrl(this.url)}: an ACME directory is read over https only`)
    const answer = await this.http.request({ method: 'GET', url: this.url }, signal)
    if (answer.status !== 200) throw problemError(what, answer)
    const directory = parseDirectory(jsonOrNull(answer.body), url => this.mayAsk(url))
    if (typeof directory === 'string')
      throw new IssueError('unavailable', `${what}: not an ACME directory: ${directory}`)
    this.#known = { directory, at: performance.now() }
    return directory
  }
}

/** The directory, or what is wrong with it. */
function parseDirectory(value: unknown, mayAsk: (url: string) => boolean): Directory | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the answer is not a JSON object'
  const fields = value as Record<string, unknown>
  const wrong: string[] = []
  const url = (key: string): string => {
    const text = fields[key]
    if (typeof text === 'string' && text.length <= 2000 && mayAsk(text)) return text
    wrong.push(text === undefined ? `${key} is missing` : `${key} is not an https URL`)
    return ''
  }
  const optional = (key: string) => (fields[key] === undefined || fields[key] === null ? null : url(key))
  const meta = (typeof fields['meta'] === 'object' && fields['meta']) || {}
  const { termsOfService, externalAccountRequired, profiles } = meta as Record<string, unknown>
  const named = typeof profiles === 'object' && profiles !== null ? Object.entries(profiles) : []
  const directory = {
    newNonce: url('newNonce'),
    newAccount: url('newAccount'),
    newOrder: url('newOrder'),
    revokeCert: url('revokeCert'),
    keyChange: optional('keyChange'),
    renewalInfo: optional('renewalInfo'),
    termsOfService: excerpt(termsOfService) || null,
    externalAccountRequired: externalAccountRequired === true,
    profiles: new Map(named.slice(0, maxProfiles).map(([name, text]) => [excerpt(name, 100), excerpt(text)])),
  }
  return wrong.length > 0 ? wrong.join(', ') : directory
}
