/** Rows for the certificate of a site. */
import { kind, shape } from '../engine/kinds.ts'

export const keyPairShape = shape({
  name: 'certificate files',
  docs: 'A certificate and its key, in PEM.',
  rows: {
    chain: {
      kind: { type: 'file' },
      required: true,
      docs: 'The certificate, then the intermediates that lead to its CA.',
      example: 'shop.pem',
    },
    key: { kind: { type: 'file' }, required: true, docs: 'Its private key, unencrypted.', example: 'shop.key' },
  },
})

/** What a site has: a pair, or a folder of them. */
export const certificateShape = shape({
  name: 'certificate',
  docs:
    'Where the certificate of a site comes from: `chain` and `key`, or `directory`. Replaced files are picked up within seconds, ' +
    'without a reload; see docs/certificates.md.',
  rows: {
    chain: {
      kind: { type: 'file' },
      docs: 'The certificate, then the intermediates that lead to its CA, in PEM.',
      example: 'shop.pem',
    },
    key: { kind: { type: 'file' }, docs: 'Its private key in PEM, unencrypted.', example: 'shop.key' },
    directory: {
      kind: { type: 'folder' },
      docs:
        'A folder of certificates with their keys, subfolders included: `NAME.crt` (`.pem`, `.cer`) with `NAME.key`, `fullchain.pem` ' +
        'with `privkey.pem`, or a `.pem` that contains both. For each name the best certificate is used: an exact name before a ' +
        'wildcard, then the one that expires last.',
      example: '/etc/certs',
    },
  },
})

export const certificateKind = kind({
  type: 'either',
  text: {
    type: 'choice',
    of: ['acme', 'local', 'vault'],
  },
  list: { type: 'list', of: { type: 'object', shape: keyPairShape } },
  map: { type: 'object', shape: certificateShape },
})
