/** Caddy with its admin endpoint, automatic HTTPS and logs off; it has no layer 4 in Debian's build. */
import { backendName, type Setup } from '../setup.ts'

/** `version` is what `caddy version` prints: the way to name a CA changed in 2.8. */
export function caddyConfig({ shape, port, backend, certificates }: Setup, version: string): string {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number)
  const trust =
    major > 2 || (major === 2 && minor >= 8)
      ? `tls_trust_pool file ${certificates.ca}`
      : `tls_trusted_ca_certs ${certificates.ca}`
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
  tls ${certificates.chain} ${certificates.key}
  reverse_proxy ${shape === 'grpc' ? `h2c://127.0.0.1:${backend.h2c}` : `127.0.0.1:${shape === 'bridge' ? backend.tls : backend.plain}`} {
    transport http {
      versions ${shape === 'grpc' ? 'h2c 2' : '1.1'}
      compression off
      keepalive 300s
      keepalive_idle_conns 256
      keepalive_idle_conns_per_host 256${shape === 'bridge' ? bridge : ''}
    }
  }
}
`
}
