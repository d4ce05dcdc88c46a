/** HAProxy as its documentation advises: one thread, every idle backend connection reusable, its log to a socket. */
import { backendName, type Setup } from '../setup.ts'
import { answerOf, manyNames } from './many.ts'

export type HaproxySetup = Setup & { readonly maxConnections: number }

export function haproxyConfig(setup: HaproxySetup): string {
  return `global
  nbthread 1
  maxconn ${setup.maxConnections}
  # It reckons two descriptors for each connection, more than a machine may allow; idle ones need one.
  no strict-limits
  # Its own order would choose AES-256 where the others follow the client to AES-128.
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.h2.max-concurrent-streams 128
  ssl-default-server-options ssl-min-ver TLSv1.2
${setup.logPort === null ? '' : `  log 127.0.0.1:${setup.logPort} local0\n`}
defaults
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s

${setup.shape === 'passthrough' ? passthrough(setup) : http(setup)}`
}

/** The sites of `many`, by name, for its `map` */
export const haproxyMap = ({ many }: Setup): string =>
  manyNames(many)
    .map(name => `${name} ${name}\n`)
    .join('')

function http(setup: HaproxySetup): string {
  const { shape, port, backendPort, ca, identity, many, logPort, folder } = setup
  const front = `frontend front
  mode http
  bind 127.0.0.1:${port} backlog 4096 ssl crt ${identity.bundle} alpn h2,http/1.1
${logPort === null ? '' : '  log global\n  option httplog\n'}`
  if (shape === 'respond') {
    const plain = answerOf(many).replace('\n', '\\n').replaceAll('"', '\\"')
    const known = `{ req.hdr(host),map(${folder}/sites.map) -m found }`
    const further = `  http-request return status 200 content-type text/plain lf-string "%[req.hdr(host),map(${folder}/sites.map)]" if ${known}\n`
    return `${front}${many === null ? '' : further}  http-request return status 200 content-type text/plain string "${plain}"\n`
  }
  const server = {
    bridge: `127.0.0.1:${backendPort} ssl verify required ca-file ${ca} sni str(${backendName}) verifyhost ${backendName}`,
    grpc: `127.0.0.1:${backendPort} proto h2`,
    edge: `127.0.0.1:${backendPort}`,
    stages: `127.0.0.1:${backendPort}`,
    gzip: `127.0.0.1:${backendPort}`,
    passthrough: '',
  }[shape]
  return `${front}  option forwardfor
  http-request set-header X-Forwarded-Proto https
  default_backend back

backend back
  mode http
  http-reuse always
  server one ${server}
`
}

function passthrough({ port, backendPort }: Setup): string {
  return `frontend front
  mode tcp
  bind 127.0.0.1:${port} backlog 4096
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend back if { req.ssl_sni -i localhost }

backend back
  mode tcp
  server one 127.0.0.1:${backendPort}
`
}
