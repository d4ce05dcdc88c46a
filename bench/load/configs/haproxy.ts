/** HAProxy as its documentation advises: one thread, every idle backend connection reusable, no log lines. */
import { backendName, type Setup } from '../setup.ts'

/** Two descriptors each, within the limit that every proxy is started with */
const maxConnections = 8000

export function haproxyConfig(setup: Setup): string {
  return `global
  nbthread 1
  maxconn ${maxConnections}
  # Its own order would choose AES-256 where the others follow the client to AES-128.
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.h2.max-concurrent-streams 128
  ssl-default-server-options ssl-min-ver TLSv1.2

defaults
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s

${setup.shape === 'passthrough' ? passthrough(setup) : http(setup)}`
}

function http({ shape, port, backend, certificates }: Setup): string {
  const server =
    shape === 'bridge'
      ? `127.0.0.1:${backend.tls} ssl verify required ca-file ${certificates.ca} sni str(${backendName}) verifyhost ${backendName}`
      : shape === 'grpc'
        ? `127.0.0.1:${backend.h2c} proto h2`
        : `127.0.0.1:${backend.plain}`
  return `frontend front
  mode http
  bind 127.0.0.1:${port} backlog 4096 ssl crt ${certificates.bundle} alpn h2,http/1.1
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  default_backend back

backend back
  mode http
  http-reuse always
  server one ${server}
`
}

function passthrough({ port, backend }: Setup): string {
  return `frontend front
  mode tcp
  bind 127.0.0.1:${port} backlog 4096
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend back if { req.ssl_sni -i localhost }

backend back
  mode tcp
  server one 127.0.0.1:${backend.tls}
`
}
