/** GoAccess reads what the gateway writes as `combined` and `common`: every line, hostile ones too. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import path from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { ask, versions } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { localhostWith, startGateway } from '../harness/gateway.ts'
import { rawTls } from '../harness/raw.ts'

const skip = spawnSync('goaccess', ['--version']).error !== undefined && 'not installed: goaccess'

const agents = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'curl/8.5.0',
  'a "quoted" \\ agent',
  '\x9b\xe2\x80\xae',
]

describe('GoAccess', { skip }, () => {
  for (const format of ['combined', 'common'] as const) {
    it(`reads ${format}`, async () => {
      const file = path.join(temporaryFolder('sallyport-goaccess-'), 'access.log')
      const { gateway, port, stop } = await startGateway({
        sites: localhostWith(
          { match: { path: '/gone' }, respond: { status: 404, body: 'gone' } },
          { respond: { body: 'here' } },
        ),
        log: { access: { format, file } },
      })
      for (const version of versions) {
        for (const agent of agents) {
          const fields = [
            ['user-agent', agent],
            ['referer', 'https://b.test/?token=1'],
          ] as const
          await ask(version, port, { path: '/a%22b?q=%0d%0a', fields })
          await ask(version, port, { path: '/gone', fields })
        }
      }
      const bad = await rawTls(port, { servername: 'localhost', ALPNProtocols: ['http/1.1'] })
      bad.send('nonsense\r\n\r\n')
      await bad.closed()
      await gateway.drain(0)
      await stop()
      const name = format === 'combined' ? 'COMBINED' : 'COMMON'
      const { stdout } = await promisify(execFile)('goaccess', [
        file,
        `--log-format=${name}`,
        '-o',
        'json',
        '--no-global-config',
      ])
      const { general, status_codes: codes } = JSON.parse(stdout)
      const requests = versions.length * agents.length * 2
      assert.equal(general.failed_requests, 0)
      assert.equal(general.total_requests, requests + 1)
      const countOf = (code: string) =>
        codes.data.flatMap(({ items = [] }) => items).find(({ data }: { data: string }) => data.startsWith(code))
          ?.hits.count
      assert.deepEqual([countOf('200'), countOf('404'), countOf('400')], [requests / 2, requests / 2, 1])
    })
  }
})
