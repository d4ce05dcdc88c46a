/** Vault, from rows to config.ts: exactly one way to log in. */
import type { VaultAuthConfig, VaultConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { type authShape, vaultShape } from './schema/vault.ts'

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/** Null: there is none. */
export function validateVault(
  raw: Raw<typeof vaultShape> | null | undefined,
  node: Node | undefined,
  problems: Problems,
): VaultConfig | null | undefined {
  if (!node || raw === null) return null
  if (!raw) return undefined
  const authNode = childOf(node, 'auth')
  const auth = raw.auth && authNode ? validateAuth(raw.auth, authNode, problems) : undefined
  const read = whole(vaultShape, raw)
  return read && auth && { ...read, auth }
}

function validateAuth(raw: Raw<typeof authShape>, node: Node, problems: Problems): VaultAuthConfig | undefined {
  const ways = ['token', 'tokenFile', 'approle', 'kubernetes'].filter(key => childOf(node, key))
  if (ways.length !== 1) {
    const what =
      ways.length === 0 ? 'auth names no way to log in' : `auth names ${ways.join(' and ')}, and one is enough`
    problems.error(node.at, what, 'give it one of token, tokenFile, approle and kubernetes')
    return undefined
  }
  const { token, tokenFileFile, approle, kubernetes } = raw
  if (token) return { kind: 'token', token }
  if (tokenFileFile) return { kind: 'tokenFile', file: tokenFileFile }
  if (approle?.roleId && approle.mount) {
    const { roleId, secretId, secretIdFileFile, mount } = approle
    if (secretId && secretIdFileFile) {
      const at = childOf(node, 'approle')
      problems.error(
        at ? placeOfKey(at, 'secretId') : placeOf(node),
        'secretId and secretIdFile: one of them is enough',
        'remove the other',
      )
      return undefined
    }
    const secret = secretId ? { value: secretId } : secretIdFileFile ? { file: secretIdFileFile } : null
    return { kind: 'approle', mount, roleId, secret }
  }
  if (kubernetes?.role && kubernetes.mount)
    return {
      kind: 'kubernetes',
      mount: kubernetes.mount,
      role: kubernetes.role,
      jwtFile: kubernetes.jwtFileFile ?? serviceAccount,
    }
  return undefined
}
