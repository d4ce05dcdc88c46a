/** Fields that say who the client is are dropped from clients, by a table, unless a listener lets one through. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { clientFields, ownClientFields } from '../../src/wire/client-fields.ts'
import { gatewayNames } from '../../src/wire/field-names.ts'
import { ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'

let gateway: Started
let backend: RecordingBackend
let last = ''
const allow = ['X-Client-IP', 'api_key', 'x-ssl-client-verify', 'trace.id']

before(async () => {
  backend = await recordingBackend((client, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    last = text.slice(text.lastIndexOf('GET /')).toLowerCase()
    client.send(ok(''))
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1', fields: { allow } },
    ],
    sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }],
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

/** Names of the table, families by one of theirs. */
const names = clientFields.map(({ name }) => (name.endsWith('*') ? `${name.slice(0, -1)}verify` : name))
const spellings = (name: string) => [name, name.replaceAll('-', '_')]

for (const version of versions) {
  describe(version, () => {
    it('drops every name of the table', async () => {
      const spoofed = names.flatMap(spellings).map((name): [string, string] => [name, 'spoofed'])
      for (let at = 0; at < spoofed.length; at += 10) {
        const answer = await ask(version, gateway.port, { fields: spoofed.slice(at, at + 10) })
        assert.equal(answer.status, 200)
        assert.ok(!last.includes('spoofed'), last)
      }
    })

    it('lets through what the listener allows, and nothing else', async () => {
      const fields = [...names, 'api_key', 'trace.id', 'other_key'].map((name): [string, string] => [name, 'sent'])
      const answer = await ask(version, gateway.ports[1] as number, { fields })
      assert.equal(answer.status, 200)
      const sent = [...last.matchAll(/^([^:\r\n]+): sent\r$/gm)].map(found => found[1])
      assert.deepEqual(sent.sort(), allow.map(name => name.toLowerCase()).sort())
    })

    it('leaves names alone that only look like one', async () => {
      const fields = ['x-ssl-clien', 'ssl-clients', 'x-client-ip2', 'xssl-client-cert', 'x-amzn-trace-id'].map(
        (name): [string, string] => [name, 'sent'],
      )
      await ask(version, gateway.port, { fields })
      assert.equal(last.split(': sent\r\n').length, fields.length + 1, last)
    })
  })
}

it('a reload changes what a listener lets through', async () => {
  const sites = [{ host: 'localhost', certificate: 'local', to: [backend.url] }] as const
  const started = await startGateway({ sites })
  const fields = [['api_key', 'sent']] as const
  await ask('HTTP/1.1', started.port, { fields })
  assert.ok(!last.includes('api_key'))
  const listen = [{ port: started.port, address: '127.0.0.1', fields: { allow: 'api_key' } }]
  const value = { listen, sites, state: path.dirname(path.dirname(started.caFile)) }
  await started.gateway.apply((await loadConfig({ value })).config)
  await ask('HTTP/1.1', started.port, { fields })
  assert.ok(last.includes('api_key: sent'), last)
  await started.stop()
})

/** As a CGI-like backend reads them, these frame a message or say who the client is. */
const aliases = [...ownClientFields, ...gatewayNames].flatMap(name =>
  name.includes('-') ? [name.replaceAll('-', '_'), name.replaceAll('-', '.').toUpperCase()] : [],
)

describe('what cannot be let through', () => {
  for (const name of [...ownClientFields, ...gatewayNames, 'host', ...aliases, 'a b']) {
    it(name, async () => {
      const listen = [{ port: 0, address: '127.0.0.1', fields: { allow: [name] } }]
      const value = { listen, sites: [{ host: 'localhost', certificate: 'local', to: [backend.url] }] }
      await assert.rejects(loadConfig({ value }), /listen\[0\]\.fields\.allow/)
    })
  }
})
