/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested */
/** `${NAME}` in files: where it works, what it becomes, and that a value cannot become anything but one value. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { around, load, problemsOf } from './config-folder.ts'

const respond = (body: string) => around(`routes: [{ respond: { body: ${body} } }]`)

async function bodyOf(body: string, env = {}): Promise<string> {
  const { config } = await load(respond(body), env)
  const action = config.sites[0]!.action
  assert.ok(action.kind === 'http' && action.routes[0]!.action.kind === 'respond')
  return action.routes[0]!.action.body
}

describe('environment variables', () => {
  it('stand in plain and quoted scalars, in braces too, alone and within text', async () => {
    const env = { PORT: '8443', NAME: 'shop.test', BACK: '10.0.0.1' }
    const yaml =
      'listen: [{ port: ${PORT} }]\nsites:\n  - host: ${NAME}\n    certificate: local\n    to: "http://${BACK}:${PORT}"\n'
    const { config } = await load(yaml, env)
    assert.equal(config.listen[0]!.port, 8443)
    assert.deepEqual(config.sites[0]!.hosts, ['shop.test'])
    assert.deepEqual(config.upstreams[0]!.endpoints, [{ host: '10.0.0.1', port: 8443 }])
  })
  it('take a default when unset or empty', async () => {
    assert.equal(await bodyOf('"${X:-fallback: 1, 2}"'), 'fallback: 1, 2')
    assert.equal(await bodyOf('${X:-fallback}', { X: '' }), 'fallback')
    assert.equal(await bodyOf('${X:-fallback}', { X: 'set' }), 'set')
    assert.equal(await bodyOf('"${X:-}"'), '')
  })
  it('are escaped by a second dollar sign, and lone signs stay', async () => {
    assert.equal(await bodyOf('"$${X} costs $5 $X {Y}"', { X: 'no' }), '${X} costs $5 $X {Y}')
  })
  it('are text where quoted, whatever they hold', async () => {
    assert.equal(await bodyOf('"${X}"', { X: '42' }), '42')
    assert.equal(await bodyOf('"${X}"', { X: '${Y} }, to: "x"\nlisten: []' }), '${Y} }, to: "x"\nlisten: []')
  })
  it('that are not set, or are not names, are errors at their place', async () => {
    assert.deepEqual(await problemsOf(`${respond('"${X} ${Y}"')}state: \${1X}\n`), [
      'sallyport.yaml:5:33: the environment variable X is not set\nset it, or give a default: ${X:-value}; write $${ for a literal ${',
      'sallyport.yaml:6:8: ${1X} is not the name of an environment variable\nnames are letters, digits and _; write $${ for a literal ${',
    ])
  })
  it('do not shift later positions, and are not read in keys', async () => {
    const found = await problemsOf(around('to: http://b.test', 'log: { access: ${LONG}, formt: json, ${K}: 1 }'), {
      LONG: 'true',
    })
    assert.deepEqual(
      found.map(problem => problem.split('\n')[0]),
      ['sallyport.yaml:6:25: unknown key formt', 'sallyport.yaml:6:38: unknown key ${K}'],
    )
  })
})
