/** nginx as its documentation advises for a busy reverse proxy: keep-alive to the backend, one worker, no access log. */
import { existsSync } from 'node:fs'
import { backendName, type Setup } from '../setup.ts'

/** Debian builds the stream module as a file of its own. */
export const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so'

export function nginxPreamble(folder: string): string {
  // Started by root, a worker would become www-data and could not read the temporary folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  return `${user}daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 16000; }`
}

export function nginxConfig(setup: Setup): string {
  return setup.shape === 'passthrough' ? streamConfig(setup) : httpConfig(setup)
}

function httpConfig({ shape, port, backend, certificates, folder }: Setup): string {
  const upstreamPort = {
    edge: backend.plain,
    stages: backend.plain,
    passthrough: 0,
    bridge: backend.tls,
    grpc: backend.h2c,
  }[shape]
  const bridge = `
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${certificates.ca};
      proxy_ssl_name ${backendName};
      proxy_ssl_server_name on;
      proxy_ssl_session_reuse on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;`
  const grpc = `
      grpc_pass grpc://backend;
      grpc_set_header Host $host;
      grpc_set_header X-Forwarded-For $remote_addr;
      grpc_set_header X-Forwarded-Proto $scheme;`
  return `${nginxPreamble(folder)}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  upstream backend {
    server 127.0.0.1:${upstreamPort};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096;
    server_name localhost;
    ssl_certificate ${certificates.chain};
    ssl_certificate_key ${certificates.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    http2_max_concurrent_streams 128;
    location / {${
      shape === 'grpc'
        ? grpc
        : `
      proxy_pass ${shape === 'bridge' ? 'https' : 'http'}://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;${shape === 'bridge' ? bridge : ''}`
    }
    }
  }
}
`
}

function streamConfig({ port, backend, folder }: Setup): string {
  return `${existsSync(streamModule) ? `load_module ${streamModule};\n` : ''}${nginxPreamble(folder)}
stream {
  map $ssl_preread_server_name $backend {
    localhost 127.0.0.1:${backend.tls};
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ssl_preread on;
    proxy_pass $backend;
  }
}
`
}
