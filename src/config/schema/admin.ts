/** Rows for the admin listener: metrics and probes. */
import { bearerToken, ipAddress } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

const adminListenShape = shape({
  name: 'admin.listen',
  docs:
    'Where `/metrics`, `/healthz` and `/readyz` are served, in cleartext. It is not a listener of the gateway: no site is served ' +
    'there.',
  rows: {
    port: {
      kind: { type: 'integer', min: 0, max: 65_535 },
      required: true,
      docs: '0 lets the system choose; the log says which.',
      example: '9090',
    },
    address: {
      kind: { type: 'string', form: ipAddress, write: 'IP address' },
      default: '127.0.0.1',
      docs:
        'Only this machine can reach the default. Anything sent to another address can be read on the network: use one that only the ' +
        'internal network reaches.',
      example: '10.0.0.1',
    },
  },
})

export const adminShape = shape({
  name: 'admin',
  docs:
    'An HTTP listener for metrics (Prometheus) and probes. With several workers the first one runs it, and collects from the ' +
    'others. docs/operations.md lists the metrics.',
  rows: {
    listen: {
      kind: { type: 'object', shape: adminListenShape },
      required: true,
      docs: 'Where to listen.',
      example: '{ port: 9090 }',
    },
    token: {
      kind: { type: 'string', form: bearerToken, write: 'token' },
      docs:
        '`/metrics` requires it as `Authorization: Bearer`, and so does `/readyz` before it gives its reasons; the status of the probes ' +
        // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is written in a file
        'needs no token. At least 16 characters. Take it from the environment, as in `token: ${NAME}`.',
      example: 'k7b2f0c9k7b2f0c9',
    },
  },
})
