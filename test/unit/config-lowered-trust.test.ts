/** Options that lower what a certificate must be: off unless written, and warned about with their place. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { load, problemsOf } from './config-folder.ts'

const files = { 'ca.pem': 'x' }
const text = (clients: string, tls: string) =>
  `listen: [{ port: 443 }]
sites:
  - host: a.test
    certificate: local
    clients: { ca: ca.pem${clients} }
    to: { endpoints: ["https://b.test"], tls: { ca: ca.pem${tls} } }
`

describe('lowered trust', () => {
  it('is nowhere unless it is written', async () => {
    const { config, warnings } = await load(text('', ''), {}, files)
    assert.deepEqual(warnings, [])
    assert.equal(config.sites[0]?.clients?.weak, 'refuse')
    const [upstream] = config.upstreams
    assert.deepEqual([upstream?.tls?.weak, upstream?.tls?.commonName], ['refuse', 'refuse'])
  })

  it('is warned about where it stands', async () => {
    const lowered = text(', weak: allow', ', weak: allow, commonName: allow')
    const { warnings } = await load(lowered, {}, files)
    assert.equal(warnings.length, 3)
    assert.match(
      warnings.map(({ message }) => message).join('\n'),
      /^weak: allow: .*\nweak: allow: .*\ncommonName: allow: /,
    )
    const problems = (await problemsOf(`${lowered}x: 1\n`, {}, files)).join('\n')
    for (const place of ['5:34', '6:67', '6:86']) assert.match(problems, new RegExp(`${place}\\b`))
  })

  it('takes no other word', async () => {
    assert.match((await problemsOf(text(', weak: yes', ''), {}, files)).join('\n'), /weak/)
  })
})
