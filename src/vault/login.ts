/**
 * Tokens for Vault: given, from a file that an agent keeps fresh, or by login (AppRole, Kubernetes). A token from a login is
 * used for two thirds of its lease; one that is given is renewed whenever it is used, as far as Vault lets it.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../base/errors.ts'
import { IssueError } from '../model/issuer.ts'
import { askVault, failureOf, type VaultPlace } from './client.ts'

/** Secrets in files are read anew each time: they are rotated. */
export type VaultAuth =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'tokenFile'; readonly file: string }
  | { readonly kind: 'approle'; readonly mount: string; readonly roleId: string; readonly secret: Secret | null }
  | { readonly kind: 'kubernetes'; readonly mount: string; readonly role: string; readonly jwtFile: string }

type Secret = { readonly value: string } | { readonly file: string }

const maxTokenBytes = 16 * 1024

export class VaultLogin {
  readonly #place: VaultPlace
  readonly #auth: VaultAuth
  #token: { readonly value: string; readonly until: number } | null = null

  constructor(place: VaultPlace, auth: VaultAuth) {
    this.#place = place
    this.#auth = auth
  }

  /** Throws IssueError. */
  async token(signal: AbortSignal): Promise<string> {
    const auth = this.#auth
    if (auth.kind === 'token') return this.#renewed(auth.token, signal)
    if (auth.kind === 'tokenFile') return readSecret(auth.file)
    if (this.#token !== null && Date.now() < this.#token.until) return this.#token.value
    const said: Record<string, string> =
      auth.kind === 'approle'
        ? { role_id: auth.roleId, ...(auth.secret === null ? {} : { secret_id: await secretOf(auth.secret) }) }
        : { role: auth.role, jwt: await readSecret(auth.jwtFile) }
    const answer = await askVault(this.#place, `auth/${auth.mount}/login`, said, null, signal)
    if (answer.status !== 200) throw failureOf(this.#place, `login by ${auth.kind}`, answer)
    const { client_token: value, lease_duration: seconds } = (answer.body['auth'] ?? {}) as Record<string, unknown>
    if (typeof value !== 'string' || !isToken(value))
      throw new IssueError('unavailable', `${this.#place.address}: the login by ${auth.kind} brought no token`)
    const lease = typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, 86_400) : 86_400
    this.#token = { value, until: Date.now() + (lease * 1000 * 2) / 3 }
    return value
  }

  /** The token was refused: the next one comes from a new login. @returns false where that cannot help */
  forget(): boolean {
    this.#token = null
    return this.#auth.kind === 'approle' || this.#auth.kind === 'kubernetes'
  }

  async #renewed(token: string, signal: AbortSignal): Promise<string> {
    // A token that cannot be renewed is refused here, and may yet be good for what it is for.
    await askVault(this.#place, 'auth/token/renew-self', {}, token, signal)
    return token
  }
}

const secretOf = (secret: Secret): Promise<string> =>
  'value' in secret ? Promise.resolve(secret.value) : readSecret(secret.file)

/** What may stand in a header line. */
const isToken = (text: string) => /^[\x21-\x7e]{1,16384}$/.test(text)

async function readSecret(file: string): Promise<string> {
  let text: string
  try {
    text = (await readFile(file, 'latin1')).slice(0, maxTokenBytes).trim()
  } catch (error) {
    throw new IssueError('rejected', `${file}: ${messageOf(error)}`)
  }
  if (!isToken(text)) throw new IssueError('rejected', `${file}: holds no token (one word of printable ASCII)`)
  return text
}
