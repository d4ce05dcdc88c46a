// nginx, HAProxy and Caddy of a later Debian for `npm run bench`, with the OpenSSL and the C library of that release:
// those of Debian 12 are years old, and its OpenSSL 3.0 is a slow one. They are started through the dynamic linker that
// came with them, so they run on any older system; the machine's own packages are the reserve.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { suites, unpackDebian } from './debian.mjs'
import { root } from './install.mjs'

const packages = [
  ...['nginx', 'libnginx-mod-stream', 'haproxy', 'caddy'],
  ...['libc6', 'libcrypt1', 'libgcc-s1', 'libjemalloc2', 'liblua5.4-0', 'libopentracing-c-wrapper0t64'],
  ...['libopentracing1', 'libpcre2-8-0', 'libssl3t64', 'libstdc++6', 'libzstd1', 'zlib1g'],
]
const binaries = { nginx: 'usr/sbin/nginx', haproxy: 'usr/sbin/haproxy', caddy: 'usr/bin/caddy' }
const versionWords = { nginx: '-v', haproxy: '-v', caddy: 'version' }
const folderOf = suite => path.join(root, 'node_modules', '.bench-peers', suite)

/** Fetches them where they are missing. @returns whether they are there now */
export function ensureBenchPeers() {
  return suites.some(suite => unpackDebian({ suite, packages, folder: folderOf(suite), works }))
}

/** @returns {string | null} the folder that the packages are unpacked into */
export function benchPeersFolder() {
  return suites.map(folderOf).find(folder => existsSync(folder)) ?? null
}

/** @returns {string | null} the command that starts one of them, null where it is not unpacked */
export function benchPeer(name) {
  const folder = benchPeersFolder()
  return folder && path.join(folder, 'start', name)
}

function works(unpacked) {
  writeStarters(unpacked)
  return Object.entries(versionWords).every(
    ([name, word]) => spawnSync(path.join(unpacked, 'start', name), [word]).status === 0,
  )
}

/** A script for each binary, since HAProxy runs itself again for a reload, by the name that it was started with. */
function writeStarters(unpacked) {
  const libraries = path.join(unpacked, 'usr/lib')
  const triplet = existsSync(libraries) && readdirSync(libraries).find(entry => entry.endsWith('-linux-gnu'))
  if (!triplet) return
  const linker = readdirSync(path.join(libraries, triplet)).find(entry => /^ld-linux.*\.so\.\d$/.test(entry))
  mkdirSync(path.join(unpacked, 'start'))
  for (const [name, binary] of Object.entries(binaries)) {
    const file = path.join(unpacked, 'start', name)
    const own = `"$root/usr/lib/${triplet}`
    const command = `${own}/${linker}" --library-path ${own}" --argv0 "$0" "$root/${binary}" "$@"`
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's.
    writeFileSync(file, ['#!/bin/sh', 'root=${0%/*}/..', `exec ${command}`, ''].join('\n'))
    chmodSync(file, 0o755)
  }
}
