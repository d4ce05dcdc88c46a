/** The one backend behind every proxy: a lean nginx worker that answers from memory and small cached files. */
import type { BackendPorts, CertificateFiles } from '../setup.ts'
import { nginxPreamble } from './nginx.ts'

export const smallBody = 'Sallyport benchmark: sixty bytes of answer, and no more ...\n'

/** One message of 60 bytes behind its prefix, in which nginx can write no NUL: what is in it does not matter here. */
export const grpcMessage = `.....${smallBody.trimEnd()}.`

export type BackendSetup = {
  readonly ports: Omit<BackendPorts, 'script'>
  readonly certificates: CertificateFiles
  readonly folder: string
  /** Holds 16k.bin, 1m.bin and orders.json */
  readonly bodies: string
}

export function backendConfig({ ports, certificates, folder, bodies }: BackendSetup): string {
  const body = smallBody.replace('\n', '\\n')
  // /seen tells the probe what the proxy sent; /status counts connections and requests from the backend's side.
  const locations = `
    location = /small { default_type text/plain; return 200 "${body}"; }
    location = /app/v1/small { default_type text/plain; return 200 "${body}"; }
    location = /seen { default_type text/plain; return 200 "$http_x_forwarded_for $http_x_forwarded_proto $server_protocol"; }
    location = /status { stub_status; }
    location = /bench.Echo/Unary { default_type application/grpc; add_trailer grpc-status 0; return 200 "${grpcMessage}"; }
    location / { root ${bodies}; }`
  return `${nginxPreamble(folder)}
http {
  access_log off;
  log_format resumption '$connection $ssl_protocol $ssl_session_reused';
  client_body_temp_path ${folder}/body;
  sendfile on;
  tcp_nopush on;
  output_buffers 2 256k;
  open_file_cache max=16 inactive=1h;
  types { application/json json; }
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server {
    listen 127.0.0.1:${ports.plain} backlog=4096;${locations}
  }
  server {
    listen 127.0.0.1:${ports.h2c} http2 backlog=4096;${locations}
  }
  server {
    listen 127.0.0.1:${ports.tls} ssl backlog=4096;
    ssl_certificate ${certificates.backendChain};
    ssl_certificate_key ${certificates.backendKey};
    ssl_protocols TLSv1.2 TLSv1.3;
    # One cipher, so that no proxy pays for another one than its neighbours because of its own preferences.
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;${locations}
    location = /resumed { access_log ${folder}/resumed.log resumption; return 200 "ok"; }
  }
}
`
}
