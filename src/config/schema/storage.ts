/** Rows for where certificates, accounts and challenge answers live, and for sealing them. */
import { passphrase, redisPrefix, redisUrl, redisWord } from '../engine/forms.ts'
import { kind, shape } from '../engine/kinds.ts'
import { keyPairShape } from './certificate.ts'

/** Secrets come from the environment; the quotes keep the braces from YAML. */
const variable = (name: string) => `"\${${name}}"`

const passphraseKind = kind({ type: 'string', form: passphrase, write: 'text' })

export const secretShape = shape({
  name: 'seal previous',
  docs: 'A secret used before. Exactly one of these.',
  rows: {
    passphrase: {
      kind: passphraseKind,
      docs: 'The old passphrase.',
      example: variable('OLD_SEAL_PASSPHRASE'),
    },
    keyFile: { kind: { type: 'file' }, docs: 'The old key file.', example: 'old-seal.key' },
  },
})

const sealShape = shape({
  name: 'seal',
  docs:
    'Values are sealed with AES-256-GCM before they are stored, both in files and in Redis. Exactly one of `passphrase` and `keyFile`. ' +
    'Existing values are read as they are, and sealed when they are next written.',
  rows: {
    passphrase: {
      kind: passphraseKind,
      docs: 'The key is derived from it with scrypt, at start, which takes 64 MB of memory for a moment. At least 12 characters.',
      example: variable('SEAL_PASSPHRASE'),
    },
    keyFile: {
      kind: { type: 'file' },
      docs: 'A file with the key: 32 bytes, raw, in hex or in base64, as from `openssl rand -base64 32`.',
      example: '/etc/sallyport/seal.key',
    },
    previous: {
      kind: { type: 'list', of: { type: 'object', shape: secretShape }, single: true, empty: true },
      docs: 'Secrets used before: values sealed with them can still be read, but new values are never sealed with them.',
      example: `{ passphrase: ${variable('OLD_SEAL_PASSPHRASE')} }`,
    },
  },
})

export const storageShape = shape({
  name: 'storage',
  docs:
    'Where certificates, accounts and challenge answers are stored: files in the state folder, or Redis (or Valkey) for a fleet ' +
    'that shares them. See [storage](storage.md).',
  rows: {
    redis: {
      kind: { type: 'string', form: redisUrl, write: 'URL' },
      defaultDocs: 'files in `state`',
      docs:
        '`redis://HOST:PORT/DATABASE`, or `rediss://` with TLS. It may include a user name and password before the host, with ' +
        'everything but letters and digits percent-encoded.',
      example: 'rediss://redis.internal:6379/0',
    },
    ca: {
      kind: { type: 'file' },
      docs: "PEM file with the CAs that may have signed the server's certificate; no others are trusted.",
      example: 'redis-ca.pem',
    },
    certificate: {
      kind: { type: 'object', shape: keyPairShape },
      docs: 'The client certificate that the gateway presents if the server asks for one, which Redis does by default.',
      example: '{ chain: redis-client.pem, key: redis-client.key }',
    },
    prefix: {
      kind: { type: 'string', form: redisPrefix, write: 'text' },
      default: 'sallyport',
      docs: 'Prefix of every key, followed by a `:`; gateways with the same prefix form one fleet.',
      example: 'edge-eu',
    },
    username: {
      kind: { type: 'string', form: redisWord, write: 'text' },
      docs: 'The ACL user.',
      example: 'sallyport',
    },
    password: {
      kind: { type: 'string', form: redisWord, write: 'text' },
      docs: 'The password, of the user or of the server.',
      example: variable('REDIS_PASSWORD'),
    },
    lease: {
      kind: { type: 'duration', maxMs: 300_000 },
      default: '15s',
      docs:
        'How long the lock of a node that died blocks the others; a live node renews its locks three times in that time. From 1s to 5m, and ' +
        'longer than Redis ever takes to reply.',
      example: '30s',
    },
    seal: {
      kind: { type: 'object', shape: sealShape },
      docs: 'Encrypts stored values. Off by default.',
      example: `{ passphrase: ${variable('SEAL_PASSPHRASE')} }`,
    },
  },
})
