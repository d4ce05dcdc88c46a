/** Rows for the admin listener: metrics and probes. */
import { bearerToken, ipAddress } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

const adminListenShape = shape({
  name: 'admin.listen',
  docs: 'Where `/metrics`, `/healthz` and `/readyz` are answered, in cleartext. It is no listener of the gateway: no site is on it.',
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
      docs: 'Only this machine can reach the default. Others read along: best one that only the inside network reaches.',
      example: '10.0.0.1',
    },
  },
})

export const adminShape = shape({
  name: 'admin',
  docs: 'An HTTP listener for metrics (Prometheus) and probes. Of several workers the first has it, and asks the others. docs/operations.md has the metrics.',
  rows: {
    listen: {
      kind: { type: 'object', shape: adminListenShape },
      required: true,
      docs: 'Where it listens.',
      example: '{ port: 9090 }',
    },
    token: {
      kind: { type: 'string', form: bearerToken, write: 'token' },
      docs:
        'Asked for as `Authorization: Bearer` by `/metrics`, and by `/readyz` for its reasons; probes get their status without. At least ' +
        // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is written in a file
        '16 characters. Take it from the environment, as in `token: ${NAME}`.',
      example: 'k7b2f0c9k7b2f0c9',
    },
  },
})
