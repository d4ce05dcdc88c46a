/** Sallyport with nothing tuned: the defaults a user gets, the access log as the case says. */
import { backendName, type Setup } from '../setup.ts'
import { answerOf, manyNames } from './many.ts'

export function sallyportConfig(setup: Setup): string {
  const { identity, many } = setup
  const certificate = `    certificate: { chain: ${identity.chain}, key: ${identity.key} }`
  const further = manyNames(many).map(
    name => `  - host: ${name}\n${certificate}\n    routes: [{ respond: { body: "${name}" } }]\n`,
  )
  return `listen:
  - port: ${setup.port}
    address: 127.0.0.1${setup.cleartext ? '\n    cleartext: serve' : ''}
sites:
  - host: localhost
${site(setup, certificate)}
${further.join('')}log: { access: ${setup.logPort !== null} }
state: ${setup.folder}/state
`
}

function site({ shape, backendPort, ca, many }: Setup, certificate: string): string {
  switch (shape) {
    case 'edge':
      return `${certificate}
    to: [http://127.0.0.1:${backendPort}]`
    case 'respond':
      return `${certificate}
    routes: [{ respond: { body: ${JSON.stringify(answerOf(many))} } }]`
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
        to: [http://127.0.0.1:${backendPort}]`
    case 'gzip':
      return `${certificate}
    compress: { algorithms: [gzip] }
    to: [http://127.0.0.1:${backendPort}]`
    case 'bridge':
      return `${certificate}
    to:
      endpoints: [https://127.0.0.1:${backendPort}]
      tls: { ca: ${ca}, serverName: ${backendName} }`
    case 'grpc':
      return `${certificate}
    to: [h2c://127.0.0.1:${backendPort}]`
    case 'passthrough':
      return `    passthrough: { to: [127.0.0.1:${backendPort}] }`
  }
}
