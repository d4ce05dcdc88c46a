// The real peers the suite talks to, from Debian's packages. Missing ones are installed where we may (root, apt-get).
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

/** command -> Debian packages that bring it */
export const peers = {
  openssl: ['openssl'],
  curl: ['curl'],
  nginx: ['nginx', 'libnginx-mod-stream'],
  haproxy: ['haproxy'],
  h2load: ['nghttp2-client'],
  nghttp: ['nghttp2-client'],
  nghttpd: ['nghttp2-server'],
  chromium: ['chromium'],
  sslscan: ['sslscan'],
  testssl: ['testssl.sh'],
  caddy: ['caddy'],
  certbot: ['certbot'],
  lego: ['lego'],
  'redis-server': ['redis-server'],
  knotd: ['knot'],
  psql: ['postgresql'],
  mosquitto: ['mosquitto'],
  mosquitto_pub: ['mosquitto-clients'],
  postfix: ['postfix'],
  dovecot: ['dovecot-imapd', 'dovecot-pop3d'],
  ip: ['iproute2'],
  goaccess: ['goaccess'],
  git: ['git'],
}

/** @returns {string | null} the path of `command`, looked for in PATH and the sbin folders */
export function which(command) {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/local/sbin']
  for (const folder of folders) {
    const file = path.join(folder, command)
    if (folder && existsSync(file)) return file
  }
  return null
}

/** Installs the missing commands of `wanted`; returns those that are still missing. */
export function ensurePeers(wanted) {
  const missing = Object.keys(wanted).filter(command => !which(command))
  if (missing.length > 0 && process.getuid?.() === 0 && which('apt-get')) {
    console.error(`installing ${missing.join(', ')} with apt-get`)
    // A package that starts a service on install would hold ports and cores; this policy file forbids it.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    const packages = missing.flatMap(command => wanted[command])
    spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 2, 2], env })
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
      stdio: ['ignore', 2, 2],
      env,
    })
  }
  return missing.filter(command => !which(command))
}
