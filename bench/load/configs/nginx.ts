/** nginx as its documentation advises for a busy reverse proxy: keep-alive to the backend, one worker, bodies not buffered to files. */
import { backendName, type Setup } from '../setup.ts'
import { accessLog, answerOf, manyNames } from './many.ts'

/** Which nginx the configuration is for */
export type NginxBuild = {
  /** As it prints it: `1.30.6` */
  readonly version: string
  /** Debian builds the stream module as a file of its own; null where it is built in */
  readonly streamModule: string | null
}

export function nginxPreamble(folder: string): string {
  // Started by root, a worker would become www-data and could not read the temporary folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  return `${user}daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 32000; }`
}

export function nginxConfig(setup: Setup, build: NginxBuild): string {
  return setup.shape === 'passthrough' ? streamConfig(setup, build) : httpConfig(setup, build)
}

function httpConfig(setup: Setup, build: NginxBuild): string {
  const { port, backendPort, identity, folder, many, logPort } = setup
  // `http2` as a directive came with 1.25.1, and the parameter of `listen` went out of use.
  const [major, minor, patch] = build.version.split('.').map(Number.parseFloat)
  const isNew = major > 1 || minor > 25 || (minor === 25 && patch >= 1)
  const certificate = `ssl_certificate ${identity.chain}; ssl_certificate_key ${identity.key};`
  const further = manyNames(many).map(
    name =>
      `  server { listen 127.0.0.1:${port} ssl; server_name ${name}; ${certificate} location / { return 200 "${name}"; } }\n`,
  )
  return `${nginxPreamble(folder)}
http {
  access_log ${logPort === null ? 'off' : `${accessLog(folder)} combined buffer=64k`};
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  server_names_hash_max_size 65536;
  default_type text/plain;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream backend {
    server 127.0.0.1:${backendPort};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }
  server {
    listen 127.0.0.1:${port} ssl${isNew ? '' : ' http2'} backlog=4096;
    ${isNew ? 'http2 on;' : ''}
    server_name localhost;
    ${certificate}
    ssl_protocols TLSv1.2 TLSv1.3;
    http2_max_concurrent_streams 128;
    ${locations(setup)}
  }
${further.join('')}}
`
}

function locations({ shape, ca, many }: Setup): string {
  if (shape === 'respond') return `location / { return 200 "${answerOf(many).replace('\n', '\\n')}"; }`
  if (shape === 'grpc') {
    return `location / {
      grpc_pass grpc://backend;
      grpc_set_header Host $host;
      grpc_set_header X-Forwarded-For $remote_addr;
      grpc_set_header X-Forwarded-Proto $scheme;
    }`
  }
  const bridge = `
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${ca};
      proxy_ssl_name ${backendName};
      proxy_ssl_server_name on;
      proxy_ssl_session_reuse on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;`
  const proxied = (connection: string) => `
      proxy_pass ${shape === 'bridge' ? 'https' : 'http'}://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection ${connection};
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;${shape === 'bridge' ? bridge : ''}`
  // Level 4 is what most advise; its default of 1 makes more bytes than any level of ours.
  const gzip = 'gzip on; gzip_comp_level 4; gzip_proxied any; gzip_types application/json;'
  return `${shape === 'gzip' ? gzip : ''}
    location / {${proxied('""')}
    }
    location = /upload {${proxied('""')}
      # Its default would wait for the whole body, in a file: the other proxies stream it.
      proxy_request_buffering off;
    }
    location = /echo {${proxied('$connection_upgrade')}
      proxy_set_header Upgrade $http_upgrade;
    }`
}

function streamConfig({ port, backendPort, folder }: Setup, { streamModule }: NginxBuild): string {
  return `${streamModule === null ? '' : `load_module ${streamModule};\n`}${nginxPreamble(folder)}
stream {
  map $ssl_preread_server_name $backend {
    localhost 127.0.0.1:${backendPort};
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ssl_preread on;
    proxy_pass $backend;
  }
}
`
}
