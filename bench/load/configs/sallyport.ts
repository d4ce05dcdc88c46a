/** Sallyport with nothing tuned: the defaults a user gets, the access log off. */
import { backendName, type Setup } from '../setup.ts'

export function sallyportConfig(setup: Setup): string {
  return `listen:
  - port: ${setup.port}
    address: 127.0.0.1
sites:
  - host: localhost
${site(setup)}
log: { access: false }
state: ${setup.folder}/state
`
}

function site({ shape, backend, certificates }: Setup): string {
  const certificate = `    certificate: { chain: ${certificates.chain}, key: ${certificates.key} }`
  switch (shape) {
    case 'edge':
      return `${certificate}
    to: [http://127.0.0.1:${backend.plain}]`
    case 'stages':
      return `${certificate}
    hsts: { maxAge: 31536000 }
    headers:
      request: { set: { x-tls: '{tls.version}' } }
      response: { set: { x-content-type-options: nosniff }, remove: [server] }
    strip: /app
    rewrite: { from: /v1/*, to: /* }
    routes:
      - limits: { body: 1MB }
        to: [http://127.0.0.1:${backend.plain}]`
    case 'bridge':
      return `${certificate}
    to:
      endpoints: [https://127.0.0.1:${backend.tls}]
      tls: { ca: ${certificates.ca}, serverName: ${backendName} }`
    case 'grpc':
      return `${certificate}
    to: [h2c://127.0.0.1:${backend.h2c}]`
    case 'passthrough':
      return `    passthrough: { to: [127.0.0.1:${backend.tls}] }`
  }
}
