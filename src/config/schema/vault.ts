/** Rows for HashiCorp Vault as an issuer of certificates. */

import { shape } from '../engine/kinds.ts'
import { secretText, vaultAddress, vaultPath } from '../forms-vault.ts'

const appRoleShape = shape({
  name: 'vault.auth.approle',
  docs: 'Login with AppRole. Set `secretId` or `secretIdFile`, or neither if the role is bound to addresses only.',
  rows: {
    roleId: {
      kind: { type: 'string', form: secretText, write: 'role id' },
      required: true,
      docs: 'The role id.',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      example: '"${VAULT_ROLE_ID}"',
    },
    secretId: {
      kind: { type: 'string', form: secretText, write: 'secret id' },
      docs: 'The secret id.',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      example: '"${VAULT_SECRET_ID}"',
    },
    secretIdFile: {
      kind: { type: 'file' },
      docs: 'File with the secret id, read again for each login.',
      example: 'secret-id',
    },
    mount: {
      kind: { type: 'string', form: vaultPath, write: 'path' },
      default: 'approle',
      docs: 'Where the method is mounted.',
      example: 'approle',
    },
  },
})

const kubernetesShape = shape({
  name: 'vault.auth.kubernetes',
  docs: 'Login with the service account of the pod.',
  rows: {
    role: {
      kind: { type: 'string', form: vaultPath, write: 'role' },
      required: true,
      docs: 'The role of the Kubernetes method.',
      example: 'sallyport',
    },
    jwtFile: {
      kind: { type: 'file' },
      defaultDocs: '`/var/run/secrets/kubernetes.io/serviceaccount/token`',
      docs: 'File with the token of the service account, read again for each login.',
      example: '/var/run/secrets/tokens/vault',
    },
    mount: {
      kind: { type: 'string', form: vaultPath, write: 'path' },
      default: 'kubernetes',
      docs: 'Where the method is mounted.',
      example: 'kubernetes',
    },
  },
})

export const authShape = shape({
  name: 'vault.auth',
  docs: 'How the gateway gets a token: exactly one of these.',
  rows: {
    token: {
      kind: { type: 'string', form: secretText, write: 'token' },
      docs: 'A token. The gateway renews it with each use, so its lifetime should be longer than that of the certificates.',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      example: '"${VAULT_TOKEN}"',
    },
    tokenFile: {
      kind: { type: 'file' },
      docs: 'A file that Vault Agent keeps up to date; it is read again for each use.',
      example: '/run/vault/token',
    },
    approle: {
      kind: { type: 'object', shape: appRoleShape },
      docs: 'AppRole.',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      example: '{ roleId: "${VAULT_ROLE_ID}", secretIdFile: secret-id }',
    },
    kubernetes: {
      kind: { type: 'object', shape: kubernetesShape },
      docs: 'Kubernetes service accounts.',
      example: '{ role: sallyport }',
    },
  },
})

export const vaultShape = shape({
  name: 'vault',
  docs: "HashiCorp Vault's PKI engine, or OpenBao's, as the issuer of sites with `certificate: vault`.",
  rows: {
    address: {
      kind: { type: 'string', form: vaultAddress, write: 'URL' },
      required: true,
      docs: 'URL of Vault; `http://` only on this machine.',
      example: 'https://vault.internal:8200',
    },
    mount: {
      kind: { type: 'string', form: vaultPath, write: 'path' },
      default: 'pki',
      docs: 'Where the PKI engine is mounted.',
      example: 'pki/issuing',
    },
    role: {
      kind: { type: 'string', form: vaultPath, write: 'role' },
      required: true,
      docs: 'The role used to sign certificates.',
      example: 'web',
    },
    ttl: {
      kind: { type: 'duration' },
      defaultDocs: 'what the role sets',
      docs: 'Requested lifetime of certificates.',
      example: '72h',
    },
    namespace: {
      kind: { type: 'string', form: vaultPath, write: 'path' },
      docs: 'The namespace (Vault Enterprise, OpenBao).',
      example: 'team/a',
    },
    ca: {
      kind: { type: 'file' },
      defaultDocs: 'the CAs the runtime trusts',
      docs: "PEM file with the CAs of Vault's own certificate.",
      example: 'vault-ca.pem',
    },
    auth: {
      kind: { type: 'object', shape: authShape },
      required: true,
      docs: 'How to log in.',
      example: '{ tokenFile: /run/vault/token }',
    },
  },
})
