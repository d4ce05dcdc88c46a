/** The map of where traffic is plaintext: patterns, hops, what is missing, and what `--require` finds. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { demoConfig, exampleBackends } from '../../examples/demo/config.ts'
import { mapOf, type Path, shortfalls } from '../../src/cli/map/model.ts'
import { mapSvg } from '../../src/cli/map/svg.ts'
import { mapText } from '../../src/cli/map/text.ts'
import { loadConfig } from '../../src/config/load.ts'
import { withFolder } from './config-folder.ts'

const tls = 'tls: { ca: ca.pem, serverName: in.test, certificate: { chain: c.pem, key: k.pem } }'

async function pathsOf(sites: string, listen = '{ port: 443 }'): Promise<Path[]> {
  const files = {
    'sallyport.yaml': `listen: [${listen}]\nsites:\n${sites}`,
    'ca.pem': 'x',
    'c.pem': 'x',
    'k.pem': 'x',
  }
  return withFolder(files, async cwd => mapOf((await loadConfig({ cwd })).config))
}

const site = (rest: string) => `  - { host: a.test, certificate: local, ${rest} }`

describe('the map', () => {
  it('names the pattern of each mode', async () => {
    const paths = await pathsOf(
      [
        site('to: http://10.0.0.1:80'),
        '  - { host: b.test, certificate: local, to: https://10.0.0.1:443 }',
        '  - { host: c.test, passthrough: { to: 10.0.0.1:443 } }',
        '  - { host: d.test, certificate: local, tcp: { to: 10.0.0.1:5432 } }',
        '  - { host: e.test, certificate: local, routes: [{ respond: {} }] }',
      ].join('\n'),
    )
    assert.deepEqual(
      paths.map(path => [path.site, path.pattern, path.hops.length]),
      [
        ['a.test', 'edge', 2],
        ['b.test', 'bridge', 2],
        ['c.test', 'passthrough', 2],
        ['d.test', 'unwrap', 2],
        ['e.test', 'answered here', 1],
      ],
    )
    assert.deepEqual(paths[2]?.plaintext, [])
    assert.ok(paths.every(path => path.pattern === 'passthrough' || path.plaintext.includes('in the gateway')))
  })

  it('says what is missing, by name', async () => {
    const yaml = `${site('to: orders')}\nupstreams: { orders: { endpoints: http://10.0.0.1:80 } }`
    const [path] = await pathsOf(yaml)
    assert.ok(
      path?.missing.includes('to reach end-to-end: give upstream orders https:// endpoints and tls: { ca }'),
    )
    assert.ok(path?.missing.includes('for mutual TLS with clients: give a.test clients: { ca, verify: require }'))
    const [best] = await pathsOf(site(`clients: { ca: ca.pem }, to: { endpoints: https://10.0.0.1:443, ${tls} }`))
    assert.deepEqual(best?.missing, [])
  })

  it('says by what a backend is verified', async () => {
    const told = async (tls: string) => {
      const [path] = await pathsOf(site(`to: { endpoints: https://10.0.0.1:443, tls: { ca: ca.pem, ${tls} } }`))
      return path?.hops[1]?.verified.replace(/\S+\/ca\.pem/, 'ca.pem').split(';')[0]
    }
    assert.equal(await told('serverName: in.test'), 'verified as in.test by ca.pem')
    assert.equal(
      await told('spiffe: [spiffe://a.test/x, spiffe://a.test/y/*]'),
      'verified by SPIFFE id spiffe://a.test/x or spiffe://a.test/y/*, signed by ca.pem',
    )
    assert.equal(
      await told('serverName: in.test, spiffe: spiffe://a.test/x'),
      'verified by SPIFFE id spiffe://a.test/x and as in.test, signed by ca.pem',
    )
  })

  it('shows cleartext listeners, but not for sites that they never reach', async () => {
    const listen = '{ port: 443 }, { port: 80, cleartext: serve }, { port: 81, cleartext: redirect }'
    const open = await pathsOf(site('to: http://127.0.0.1:1'), listen)
    assert.deepEqual(
      open.map(path => path.pattern),
      ['edge', 'cleartext'],
    )
    const guarded = await pathsOf(site('clients: { ca: ca.pem }, to: http://127.0.0.1:1'), listen)
    assert.deepEqual(
      guarded.map(path => path.pattern),
      ['edge'],
    )
  })

  const judged: Record<string, [string, boolean, boolean, boolean]> = {
    // end-to-end, no-plaintext-offhost, mtls
    'plain HTTP to another host': ['to: http://10.0.0.1:80', false, false, false],
    'plain HTTP on this host': ['to: http://127.0.0.1:80', false, true, false],
    'verified TLS': ['to: https://10.0.0.1:443', true, true, false],
    'TLS that is not verified': [
      'to: { endpoints: https://10.0.0.1:443, tls: { verify: false } }',
      false,
      true,
      false,
    ],
    'mutual TLS on both sides': [
      `clients: { ca: ca.pem }, to: { endpoints: https://10.0.0.1:443, ${tls} }`,
      true,
      true,
      true,
    ],
    'mutual TLS with clients that may have none': [
      `clients: { ca: ca.pem, verify: optional }, to: { endpoints: https://10.0.0.1:443, ${tls} }`,
      true,
      true,
      false,
    ],
  }
  for (const [name, [rest, ...expected]] of Object.entries(judged)) {
    it(`judges ${name}`, async () => {
      const paths = await pathsOf(site(rest))
      const found = (['end-to-end', 'no-plaintext-offhost', 'mtls'] as const).map(
        requirement => shortfalls(paths, requirement).length === 0,
      )
      assert.deepEqual(found, expected)
    })
  }

  it('is in the README and in docs/map.svg as the demo has it: else run npm run docs, and copy the text', async () => {
    const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
    const paths = await withFolder({ '.sallyport/local-ca/ca.pem': 'x' }, async cwd => {
      const state = path.join(cwd, '.sallyport')
      const value = demoConfig(8443, state, path.join(state, 'local-ca/ca.pem'), exampleBackends)
      const { config } = await loadConfig({ value, cwd })
      return mapOf({ ...config, file: path.join(cwd, 'sallyport.config.ts') })
    })
    assert.ok(read('README.md').includes(`\n\`\`\`\n${mapText(paths)}\`\`\`\n`), mapText(paths))
    assert.equal(read('docs/map.svg'), mapSvg(paths))
  })

  it('is drawn as text and as a picture, with nothing of the configuration as markup', async () => {
    const paths = await pathsOf(
      '  - { host: a.test, certificate: local, routes: [{ match: { path: "/<b>&" }, to: http://10.0.0.1:80 }] }',
    )
    assert.match(mapText(paths), /^a\.test\/<b>& {3}EDGE\n {2}client ==TLS==> gateway --PLAIN-> 10\.0\.0\.1:80\n/)
    const svg = mapSvg(paths)
    assert.ok(svg.includes('/&#60;b&#62;&#38;') && !svg.includes('<b>'))
    assert.equal(svg.match(/<path class="good"/g)?.length, 2)
    // Programs that make a bitmap of it draw no CSS background of the root.
    assert.match(svg, /<\/style>\n<rect class="page" width="1060" height="\d+" fill="#fff"\/>/)
    assert.doesNotMatch(svg, /svg \{ background/)
  })
})
