/** Forms of the options for HashiCorp Vault. Pure; schema rows name them. */
import type { Formed } from './engine/forms.ts'

/** An https URL without a path; http for this machine alone, since tokens go over it. */
export function vaultAddress(text: string): Formed<string> {
  const hint = 'as in https://vault.internal:8200'
  if (!URL.canParse(text)) return { wrong: `${text} is not a URL`, hint }
  const { protocol, hostname, pathname, search, hash, username, password, origin } = new URL(text)
  if (username !== '' || password !== '')
    return { wrong: 'the address of Vault holds no user name or password', hint }
  if (protocol !== 'https:' && protocol !== 'http:') return { wrong: `${text} is not an https URL`, hint }
  if (pathname !== '/' || search !== '' || hash !== '')
    return {
      wrong: `${text}: the address of Vault has no path`,
      hint: `mount has the path of the engine; write ${origin}`,
    }
  if (protocol === 'http:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname))
    return {
      wrong: `${text}: the token of Vault would be sent in cleartext`,
      hint: 'write https://; http:// is for an agent on this machine',
    }
  return { ok: origin }
}

/** Segments that need no escaping in a URL: `pki`, `pki/issuing`, `web-role`. */
export function vaultPath(text: string): Formed<string> {
  const trimmed = text.replace(/^\/+|\/+$/g, '')
  if (/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/.test(trimmed)) return { ok: trimmed }
  return {
    wrong: `${text} is not a path of Vault`,
    hint: 'letters, digits, -, _ and ., with / between, as in pki/issuing',
  }
}

/** The message never holds the value. */
export function secretText(text: string): Formed<string> {
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return { ok: text }
  return { wrong: text === '' ? 'the value is empty' : 'the value holds spaces or characters that no token has' }
}
