/**
 * Accounts (RFC 8555 section 7.3): made with a key, perhaps bound to an external account; changed, given a new key, and
 * deactivated by whoever has the key.
 */
import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { checkSignature, decode, type Jwk, keyOf, objectOf, parseJson, parseJws, thumbprint } from './jws.ts'
import { AcmeProblem, malformed, unauthorized } from './problem.ts'
import { type Account, newId } from './records.ts'
import { type Answer, jsonAnswer, type Shared } from './terms.ts'

const mostAccounts = 10_000
const mostContacts = 10

export const accountUrl = (shared: Shared, id: string): string => `${shared.baseUrl}/account/${id}`

function answer(shared: Shared, status: number, account: Account): Answer {
  const { contact } = account
  const url = accountUrl(shared, account.id)
  const orders = `${shared.baseUrl}/orders/${account.id}`
  return jsonAnswer(status, { status: account.status, contact, orders }, { location: url })
}

export async function newAccount(
  shared: Shared,
  payload: Record<string, unknown>,
  jwk: Jwk,
  url: string,
  remote: string,
): Promise<Answer> {
  const known = await shared.records.accountOfKey(thumbprint(jwk))
  if (known !== null) {
    const account = await shared.records.account(known)
    if (account !== null) {
      if (account.status !== 'valid') throw unauthorized('the account is deactivated')
      return answer(shared, 200, account)
    }
  }
  if (payload['onlyReturnExisting'] === true)
    throw new AcmeProblem('accountDoesNotExist', 400, 'there is no account with this key')
  const contact = readContacts(payload['contact'])
  const external = checkExternalAccount(shared, payload['externalAccountBinding'], jwk, url)
  shared.limits.take('account', remote)
  if ((await shared.records.countAccounts()) >= mostAccounts)
    throw new AcmeProblem('rateLimited', 429, `there are ${mostAccounts} accounts already`, {
      fields: { 'retry-after': '3600' },
    })
  const account: Account = { id: newId(), jwk, status: 'valid', contact, external, createdAt: shared.now() }
  // The account first: a key that leads nowhere counts as unknown, an account without its key could not be used.
  await shared.records.putAccount(account)
  await shared.records.putKey(thumbprint(jwk), account.id)
  shared.log.write('info', 'internal CA: new ACME account', { account: account.id, external, client: remote })
  return answer(shared, 201, account)
}

function readContacts(value: unknown): string[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length > mostContacts)
    throw new AcmeProblem('invalidContact', 400, `contact is a list of at most ${mostContacts}`)
  return value.map(each => {
    if (typeof each !== 'string' || !each.startsWith('mailto:'))
      throw new AcmeProblem('unsupportedContact', 400, 'contacts are mailto: addresses')
    // RFC 8555 section 7.3: one address, and none of the header fields that mailto: can carry.
    if (!/^mailto:[^\s@,?<>"\x00-\x1f]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(each))
      throw new AcmeProblem('invalidContact', 400, 'a contact is one mailto: address')
    return each
  })
}

/** @returns the key identifier, or null where none is asked for. RFC 8555 section 7.3.4. */
function checkExternalAccount(shared: Shared, value: unknown, jwk: Jwk, url: string): string | null {
  const wanted = shared.externalAccounts.size > 0
  if (value === undefined) {
    if (wanted)
      throw new AcmeProblem(
        'externalAccountRequired',
        403,
        'an account needs an external account: a key id and an HMAC key',
      )
    return null
  }
  if (!wanted) throw malformed('externalAccountBinding: this server has no external accounts')
  const binding = objectOf(value, 'externalAccountBinding is a JWS in flattened JSON')
  const [protectedText, payloadText, signatureText] = ['protected', 'payload', 'signature'].map(
    name => binding[name],
  )
  if (typeof protectedText !== 'string' || typeof payloadText !== 'string' || typeof signatureText !== 'string')
    throw malformed('externalAccountBinding has protected, payload and signature')
  const header = parseJson(decode(protectedText, 'protected'), 'the header of externalAccountBinding')
  if (header['alg'] !== 'HS256') throw malformed('externalAccountBinding is signed with HS256')
  if ('nonce' in header || 'crit' in header || 'b64' in header)
    throw malformed('the header of externalAccountBinding has alg, kid and url only')
  if (header['url'] !== url) throw malformed('the url of externalAccountBinding is another one')
  const kid = header['kid']
  const bound = parseJson(decode(payloadText, 'payload'), 'the payload of externalAccountBinding')
  // An unknown key id and a wrong MAC get one answer, after the same work.
  const external = typeof kid === 'string' ? shared.externalAccounts.get(kid) : undefined
  const mac = createHmac('sha256', external?.key ?? Buffer.alloc(32))
    .update(`${protectedText}.${payloadText}`)
    .digest()
  const shown = decode(signatureText, 'signature')
  const same = shown.length === mac.length && timingSafeEqual(shown, mac)
  if (!same || external === undefined) throw unauthorized('the external account binding does not verify')
  if (!sameKey(bound, jwk)) throw malformed('externalAccountBinding is for another key')
  return kid as string
}

function sameKey(value: Record<string, unknown>, jwk: Jwk): boolean {
  return Object.entries(jwk).every(([name, text]) => value[name] === text)
}

/** Contacts, or the end of the account (sections 7.3.2 and 7.3.6). An empty payload reads it. */
export async function updateAccount(
  shared: Shared,
  payload: Record<string, unknown> | null,
  account: Account,
): Promise<Answer> {
  if (payload === null) return answer(shared, 200, account)
  let changed = account
  if (payload['contact'] !== undefined) changed = { ...changed, contact: readContacts(payload['contact']) }
  if (payload['status'] !== undefined) {
    if (payload['status'] !== 'deactivated')
      throw malformed('the status of an account is set to deactivated, or left out')
    changed = { ...changed, status: 'deactivated' }
  }
  if (changed !== account) await shared.records.putAccount(changed)
  if (changed.status !== account.status)
    shared.log.write('info', 'internal CA: ACME account deactivated', { account: account.id })
  return answer(shared, 200, changed)
}

/** A new key (section 7.3.5): the outer JWS is signed with the old one, the inner one with the new. */
export async function changeKey(
  shared: Shared,
  payload: Record<string, unknown>,
  account: Account,
  url: string,
): Promise<Answer> {
  const inner = parseJws(payload)
  if (inner.jwk === null) throw malformed('the inner JWS has the new key as jwk')
  if (inner.nonce !== null) throw malformed('the inner JWS has no nonce')
  if (inner.url !== url) throw malformed('the url of the inner JWS is another one')
  const key: KeyObject = keyOf(inner.jwk)
  checkSignature(inner, key)
  const said = parseJson(inner.payload, 'the inner payload')
  if (said['account'] !== accountUrl(shared, account.id)) throw malformed('the inner payload names another account')
  if (!sameKey(objectOf(said['oldKey'], 'oldKey is an object'), account.jwk))
    throw malformed('oldKey is another key')
  const fresh = thumbprint(inner.jwk)
  const owner = await shared.records.accountOfKey(fresh)
  if (owner !== null && (await shared.records.account(owner)) !== null)
    throw new AcmeProblem('malformed', 409, 'the new key has an account', {
      fields: { location: accountUrl(shared, owner) },
    })
  const changed = { ...account, jwk: inner.jwk }
  // Both keys lead to the account until it has the new one: killed in between, one of the two still works.
  await shared.records.putKey(fresh, account.id)
  await shared.records.putAccount(changed)
  await shared.records.deleteKey(thumbprint(account.jwk))
  shared.log.write('info', 'internal CA: ACME account has a new key', { account: account.id })
  return answer(shared, 200, changed)
}
