/** Caddy with its admin endpoint and automatic HTTPS off; it has no layer 4 in Debian's build. */
import { backendName, type Setup } from '../setup.ts'
import { accessLog, answerOf } from './many.ts'

/** `version` is what `caddy version` prints: the way to name a CA changed in 2.8. */
export function caddyConfig(setup: Setup, version: string): string {
  const { shape, port, ca, identity, logPort, folder } = setup
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number)
  const trust =
    major > 2 || (major === 2 && minor >= 8) ? `tls_trust_pool file ${ca}` : `tls_trusted_ca_certs ${ca}`
  const bridge = `
      tls
      tls_server_name ${backendName}
      ${trust}`
  return `{
  admin off
  auto_https off
  log {
    level ERROR
  }
  servers {
    protocols h1 h2
  }
}

https://localhost:${port} {
  bind 127.0.0.1
  tls ${identity.chain} ${identity.key}
${logPort === null ? '' : `  log {\n    output file ${accessLog(folder)}\n    level INFO\n  }\n`}${shape === 'respond' ? `  respond "${answerOf(null)}"\n` : proxied(setup, bridge)}}
`
}

function proxied({ shape, backendPort }: Setup, bridge: string): string {
  return `  reverse_proxy ${shape === 'grpc' ? 'h2c://' : ''}127.0.0.1:${backendPort} {
    transport http {
      versions ${shape === 'grpc' ? 'h2c 2' : '1.1'}
      compression off
      keepalive 300s
      keepalive_idle_conns 256
      keepalive_idle_conns_per_host 256${shape === 'bridge' ? bridge : ''}
    }
  }
`
}
