/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested */
/** `${file:PATH}` in files: what it becomes, where paths begin, what is refused, and that nothing of a value is told. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { formatProblem } from '../../src/config/engine/problem.ts'
import { type Loaded, loadConfig } from '../../src/config/load.ts'
import { around, type Files, load, problemsOf, withFolder } from './config-folder.ts'

const respond = (body: string) => around(`routes: [{ respond: { body: ${body} } }]`)

function bodyIn({ config }: Loaded): string {
  const action = config.sites[0]!.action
  assert.ok(action.kind === 'http' && action.routes[0]!.action.kind === 'respond')
  return action.routes[0]!.action.body
}

const bodyOf = async (body: string, files: Files, env = {}): Promise<string> =>
  bodyIn(await load(respond(body), env, files))

describe('values from files', () => {
  it('stand in plain and quoted scalars, in braces too, alone and within text', async () => {
    const yaml =
      'listen: [{ port: ${file:port} }]\nsites:\n  - host: ${file:run/name}\n    certificate: local\n    to: "http://${file:back}:${PORT}"\n'
    const files = { port: '8443\n', 'run/name': 'shop.test', back: '10.0.0.1\n' }
    const { config } = await load(yaml, { PORT: '1' }, files)
    assert.equal(config.listen[0]!.port, 8443)
    assert.deepEqual(config.sites[0]!.hosts, ['shop.test'])
    assert.deepEqual(config.upstreams[0]!.endpoints, [{ host: '10.0.0.1', port: 1 }])
  })

  it('lose a byte order mark, one newline at the end, and nothing else', async () => {
    assert.equal(await bodyOf('"${file:x}"', { x: ' a\nb\n' }), ' a\nb')
    assert.equal(await bodyOf('"${file:x}"', { x: 'a\n\n' }), 'a\n')
    assert.equal(await bodyOf('"${file:x}"', { x: 'a\r\n' }), 'a')
    assert.equal(await bodyOf('"<${file:x}>"', { x: '' }), '<>')
    assert.equal(await bodyOf('"${file:x}"', { x: '\uFEFFa' }), 'a')
  })

  it('are text, whatever they hold', async () => {
    const text = '${Y} }, to: "x"\nlisten: [] \uE000Y\uE001 $$ $1'
    assert.equal(await bodyOf('"${file:x}"', { x: text }, { Y: 'no' }), text)
  })

  it('are escaped by a second dollar sign', async () => {
    assert.equal(await bodyOf('"$${file:x} $${file:${Y}/x}"', {}), '${file:x} ${file:${Y}/x}')
  })

  it('take variables in their paths, for $CREDENTIALS_DIRECTORY', async () => {
    await withFolder({ 'sallyport.yaml': respond('"${file:${DIR}/x} ${file:${NONE:-run}/y}"') }, async cwd => {
      await withFolder({ x: 'from systemd' }, async folder => {
        mkdirSync(path.join(cwd, 'run'))
        execFileSync('sh', ['-c', 'echo beside > run/y'], { cwd })
        assert.equal(bodyIn(await loadConfig({ cwd, env: { DIR: folder } })), 'from systemd beside')
      })
    })
    const found = await problemsOf(respond('"${file:${DIR}/x}"'))
    assert.match(found[0]!, /^sallyport\.yaml:5:33: the environment variable DIR is not set\n/)
  })

  it('begin at the file that names them, not at the current folder', async () => {
    await withFolder({ 'conf/sallyport.yaml': respond('${file:x}'), 'conf/x': 'beside' }, async cwd => {
      assert.equal(bodyIn(await loadConfig({ cwd, env: {}, file: 'conf/sallyport.yaml' })), 'beside')
    })
  })

  it('that cannot be had are errors at their place, with what to do', async () => {
    await withFolder({ 'sallyport.yaml': '', big: 'x'.repeat(65_537), bits: '', locked: 'x' }, async cwd => {
      execFileSync('sh', ['-c', "printf '\\377' > bits; mkfifo pipe; mkdir folder"], { cwd })
      chmodSync(path.join(cwd, 'locked'), 0)
      const of = async (inside: string) => {
        execFileSync('sh', ['-c', 'cat > sallyport.yaml'], { cwd, input: respond(`"\${file:${inside}}"`) })
        const error = await loadConfig({ cwd, env: {} }).then(
          () => assert.fail(inside),
          (error: { problems: Parameters<typeof formatProblem>[0][] }) => error,
        )
        assert.equal(error.problems.length, 1)
        return formatProblem(error.problems[0]!).replaceAll(cwd, 'FOLDER')
      }
      const at = 'sallyport.yaml:5:33: '
      const ends = 'name a file that holds one value as text'
      assert.equal(
        await of('none'),
        `${at}\${file:none}: the file does not exist\n  looked for FOLDER/none; create it, or correct the path`,
      )
      assert.equal(
        await of('none:-default'),
        `${at}\${file:none:-default}: the file does not exist\n  looked for FOLDER/none:-default; a file has no default: remove :-`,
      )
      assert.equal(
        await of('big'),
        `${at}\${file:big}: the file is larger than 64 kB\n  looked for FOLDER/big; it should hold one password, key or token`,
      )
      assert.equal(
        await of('bits'),
        `${at}\${file:bits}: the file is not UTF-8 text\n  looked for FOLDER/bits; ${ends}`,
      )
      assert.equal(
        await of('folder'),
        `${at}\${file:folder}: the file is a folder\n  looked for FOLDER/folder; ${ends}`,
      )
      assert.equal(
        await of('pipe'),
        `${at}\${file:pipe}: the file is not a regular file\n  looked for FOLDER/pipe; ${ends}`,
      )
      assert.equal(await of(''), `${at}\${file:} names no file\n  as in \${file:/run/secrets/admin-token}`)
      if (process.getuid?.() !== 0)
        assert.equal(
          await of('locked'),
          `${at}\${file:locked}: the file cannot be read (EACCES)\n  looked for FOLDER/locked; let the user that runs the gateway read it`,
        )
      execFileSync('sh', ['-c', 'head -c 65536 big > most'], { cwd })
      execFileSync('sh', ['-c', 'cat > sallyport.yaml'], { cwd, input: respond('"${file:most}"') })
      assert.equal(bodyIn(await loadConfig({ cwd, env: {} })).length, 65_536)
    })
  })

  it('reach another process as they were read, whatever the file holds by then', async () => {
    await withFolder({ 'sallyport.yaml': respond('${file:x}'), x: 'first' }, async cwd => {
      const { source } = await loadConfig({ cwd, env: {} })
      rmSync(path.join(cwd, 'x'))
      const handed = JSON.parse(JSON.stringify(source))
      assert.equal(bodyIn(await loadConfig({ source: handed, env: {} })), 'first')
    })
  })

  it('are not told in messages, nor in what hide() goes over', async () => {
    const files = { token: 'Kx42-not-to-be-told\n' }
    const found = await problemsOf(`${around('to: "${file:token}"')}log: { format: "\${file:token}" }\n`, {}, files)
    assert.equal(found.length, 2)
    assert.doesNotMatch(found.join('\n'), /Kx42|to-be-told/)
    assert.match(found.join('\n'), /\$\{file:token\}/)
    const { hide } = await load(respond('${file:token}'), {}, files)
    assert.equal(hide('said Kx42-not-to-be-told'), 'said ${file:token}')
  })
})
