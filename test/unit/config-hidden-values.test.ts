/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested */
/** Values that come from environment variables or files are in no message, whatever is wrong with them and wherever they stand. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Kind, Shape } from '../../src/config/engine/kinds.ts'
import { ConfigError } from '../../src/config/engine/problem.ts'
import { configShape } from '../../src/config/schema.ts'
import { type Files, load } from './config-folder.ts'

/** Wrong for most kinds, in the ways in which their forms quote: URLs with parts, ranges, lists of words, capitals. */
const secrets = [
  'Zq7~vK2!pass word-Xw9',
  'ftp://Wq81user:Kx42pass@Vb77host:99999/Pz63path?Ry55=1',
  'https://Wq81user:Kx42pass@Vb77host.test/Pz63path#Mm31',
  'redis://:Kx42%2Fpass@Vb77host:99999/xyzzy',
  'SECRETWORD*.Vb77.Test:Kx42',
  '{Kx42pass}',
  '~Kx42 ^Vb77',
  'Kx42/Pz63/../Vb77//%zzWq81',
]

/** Pieces that are in none of our own sentences */
const pieces = /Zq7~|vK2!|Xw9|Wq81|Kx42|Vb77|Pz63|Ry55|Mm31|SECRETWORD|xyzzy/i

/** A configuration for each place at which a scalar may stand, with the scalar as it is given. */
function* places(shape: Shape, around: (inner: string) => string, depth = 0): Generator<(value: string) => string> {
  if (depth > 6) return
  for (const [key, row] of Object.entries(shape.rows)) {
    const inside = (inner: string) => around(`{ ${key}: ${inner} }`)
    yield* placesOf(row.kind as Kind, inside, depth)
  }
}

function* placesOf(
  kind: Kind,
  around: (inner: string) => string,
  depth: number,
): Generator<(value: string) => string> {
  switch (kind.type) {
    case 'object':
      yield* places(kind.shape, around, depth + 1)
      return
    case 'list':
      yield* placesOf(kind.of, inner => around(`[${inner}]`), depth + 1)
      return
    case 'map':
      yield* placesOf(kind.of, inner => around(`{ some-name: ${inner} }`), depth + 1)
      return
    case 'either':
      for (const one of [kind.text, kind.list, kind.map])
        if (one !== undefined) yield* placesOf(one, around, depth + 1)
      return
    case 'filter':
      return
    default:
      yield around
  }
}

const said = async (yaml: string, env: Record<string, string>, files: Files = {}): Promise<string> => {
  try {
    const { warnings } = await load(yaml, env, files)
    return JSON.stringify(warnings)
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${error}`)
    return `${error.message}${JSON.stringify(error.problems)}`
  }
}

describe('a value from an environment variable or a file', () => {
  const all = [...places(configShape, inner => inner)]

  for (const secret of secrets) {
    it(`is not quoted at any place: ${secret}`, async () => {
      assert.ok(all.length > 100, `${all.length} places`)
      for (const [at, place] of all.entries()) {
        const yaml = place(['${SECRET}', '"${SECRET}"', '"before-${SECRET}"'][(at + secret.length) % 3] as string)
        const text = await said(yaml, { SECRET: secret })
        assert.doesNotMatch(text, pieces, `${yaml}\n${text}`)
        const file = yaml.replace('${SECRET}', '${file:x}')
        const told = await said(file, {}, { x: `${secret}\n` })
        assert.doesNotMatch(told, pieces, `${file}\n${told}`)
      }
    })
  }

  it('is shown as it is written, and the rest of the message stays', async () => {
    const text = await said('listen: [{ port: ${PORT} }]\nsites: [{ host: a.test, to: "${TO}" }]\n', {
      PORT: '70000',
      TO: 'ftp://b.test',
    })
    assert.match(text, /1:18: port is 0 to 65535, not \$\{PORT\}/)
    assert.match(text, /\$\{TO\}: an endpoint is http:\/\//)
  })
})
