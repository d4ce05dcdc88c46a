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
    key: { kind: { type: 'file' }, required: true, docs: 'Its private key, not encrypted.', example: 'shop.key' },
  },
})

/** What a site has: a pair, or a folder of them. */
export const certificateShape = shape({
  name: 'certificate',
  docs:
    'Where the certificate of a site comes from: `chain` and `key`, or `directory`. Files that are replaced are taken up within ' +
    'seconds, without a reload; docs/certificates.md has the details.',
  rows: {
    chain: {
      kind: { type: 'file' },
      docs: 'The certificate, then the intermediates that lead to its CA, in PEM.',
      example: 'shop.pem',
    },
    key: { kind: { type: 'file' }, docs: 'Its private key in PEM, not encrypted.', example: 'shop.key' },
    directory: {
      kind: { type: 'folder' },
      docs:
        'A folder of certificates with their keys, and the folders in it: `NAME.crt` (`.pem`, `.cer`) with `NAME.key`, ' +
        '`fullchain.pem` with `privkey.pem`, or a `.pem` that holds both. The best one for the name that the client asks for ' +
        'is shown: exact before wildcard, then the one that ends last.',
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
