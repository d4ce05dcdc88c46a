/** What a row can say about a value, beyond those that today's options use: how it is read, refused, and documented. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { anyText, type Formed } from '../../src/config/engine/forms.ts'
import type { Input, Read } from '../../src/config/engine/infer.ts'
import { jsonSchema } from '../../src/config/engine/json-schema.ts'
import { shape } from '../../src/config/engine/kinds.ts'
import { configMarkdown } from '../../src/config/engine/markdown.ts'
import { parseText } from '../../src/config/engine/parse.ts'
import { formatProblem, Problems } from '../../src/config/engine/problem.ts'
import { readObject, startReader } from '../../src/config/engine/read.ts'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_ extends true>() => {}

const status = (text: string): Formed<number> =>
  /^[45][0-9]{2}$/.test(text) ? { ok: Number(text) } : { wrong: `${text} is not the status of an error` }

const cacheShape = shape({
  name: 'cache',
  docs: 'A cache.',
  rows: { max: { kind: { type: 'size', min: 1, max: 4096 }, default: '1kb', docs: 'Its size.' } },
})

const demoShape = shape({
  name: 'demo',
  docs: 'One row of each kind.',
  rows: {
    ejected: { kind: { type: 'percent', min: 0, max: 100 }, default: '50%', docs: 'A share.' },
    rate: { kind: { type: 'rate', words: { off: null } }, default: 'off', docs: 'How often.' },
    cache: {
      kind: {
        type: 'either',
        text: { type: 'choice', of: [true, 'off'] },
        map: { type: 'object', shape: cacheShape },
      },
      docs: 'A cache.',
    },
    pages: {
      kind: { type: 'map', key: status, keyName: 'status', of: { type: 'string', form: anyText, write: 'text' } },
      docs: 'By status.',
    },
    any: { kind: { type: 'list', of: { type: 'nested', shape: 'demo' }, empty: true }, docs: 'More of these.' },
    not: { kind: { type: 'nested', shape: 'demo' }, docs: 'One more.' },
  },
})

function read(text: string) {
  const problems = new Problems()
  const tree = parseText(text, 'a.yaml', {}, problems)
  const value = readObject(tree!, demoShape, startReader(problems, '/'))
  return { value: value as Read<typeof demoShape>, said: problems.list().map(formatProblem) }
}

describe('kinds of values', () => {
  it('are read with their units in their names', () => {
    const { value, said } = read(`
ejected: 12.5%
rate: 30/m
cache: off
pages: { 502: sorry, "404": gone }
any: [{ rate: 100/s }, { cache: true, not: { ejected: 0% } }]
not: { cache: { max: 2kb } }
`)
    assert.deepEqual(said, [])
    assert.equal(value.ejectedPercent, 12.5)
    assert.equal(value.ratePerSecond, 0.5)
    assert.deepEqual(value.cache, { as: 'text', value: 'off' })
    assert.deepEqual(
      [...value.pages],
      [
        [502, 'sorry'],
        [404, 'gone'],
      ],
    )
    assert.equal(value.any[0]?.ratePerSecond, 100)
    assert.equal(value.any[1]?.cache?.value, true)
    assert.equal(value.any[1]?.not?.ejectedPercent, 0)
    assert.deepEqual(value.not?.cache, { as: 'map', value: { maxBytes: 2048 } })
  })

  it('have the defaults of their rows at every depth', () => {
    const { value } = read('not: {}')
    assert.equal(value.ratePerSecond, null)
    assert.equal(value.not?.ejectedPercent, 50)
    assert.deepEqual([value.not?.any, value.not?.not, value.not?.cache], [[], null, null])
  })

  const refused: readonly (readonly [text: string, said: string])[] = [
    ['ejected: 50', 'ejected takes a percentage as in 50%, not 50 (add the percent sign: 50%)'],
    ['ejected: 0.25', 'ejected takes a percentage as in 50%, not 0.25 (add the percent sign: 25%)'],
    ['ejected: half', 'ejected takes a percentage as in 50%, not "half"'],
    ['ejected: 120%', 'ejected is 0% to 100%, not 120%'],
    ['rate: 100', 'rate takes a rate as in 100/s, 30/m or 1000/h, or off, not 100 (add the unit: 100/s or 100/m)'],
    ['rate: 5 rps', 'rate takes a rate as in 100/s, 30/m or 1000/h, or off, not "5 rps" (write 5/s)'],
    [
      'rate: 30 per minute',
      'rate takes a rate as in 100/s, 30/m or 1000/h, or off, not "30 per minute" (write 30/m)',
    ],
    ['rate: 0/s', 'rate is more than 0, not 0/s'],
    ['cache: false', 'cache takes true or off, not false'],
    ['pages: { 200: fine }', '200 is not the status of an error'],
    ['any: [{ not: { ejcted: 1% } }]', 'unknown key ejcted (did you mean ejected?)'],
  ]
  for (const [text, sentence] of refused)
    it(`refuse ${text}`, () => {
      const { said } = read(text)
      assert.deepEqual(
        said.map(line => line.replace(/^a\.yaml:[0-9]+:[0-9]+: /, '').replace(/\n {2}(.*)/, ' ($1)')),
        [sentence],
      )
    })

  it('are documented, and in the JSON Schema', () => {
    const page = configMarkdown(demoShape)
    assert.match(page, /\| `ejected` \| 0% to 100% \| `50%` \|/)
    assert.match(page, /\| `rate` \| rate, or `off` \|/)
    assert.match(page, /\| `cache` \| `true`, `off`; \[cache\]\(#cache\) \|/)
    assert.match(page, /\| `any` \| list of \[demo\]\(#demo\) \|/)
    const schema = JSON.stringify(jsonSchema(shape({ ...cacheShape, name: 'top', rows: { demo: demoRow } })))
    assert.match(schema, /"not":\{"\$ref":"#\/\$defs\/demo"/)
    assert.match(schema, /\{"enum":\[true,"off"\]\}/)
  })

  it('have types that say the same', () => {
    type Demo = Read<typeof demoShape>
    holds<Same<Demo['ejectedPercent'], number>>()
    holds<Same<Demo['ratePerSecond'], number | null>>()
    holds<Same<Demo['pages'], ReadonlyMap<number, string>>>()
    holds<Same<NonNullable<Demo['not']>['ejectedPercent'], number>>()
    type In = Input<typeof demoShape>
    const written: In = {
      ejected: '5%',
      rate: 'off',
      cache: true,
      pages: { 502: 'sorry' },
      any: [{ not: { rate: '1/s' } }],
    }
    assert.ok(written)
    // @ts-expect-error a share without its sign
    const share: In = { ejected: '50' }
    // @ts-expect-error no such unit
    const rate: In = { rate: '5/week' }
    // @ts-expect-error false is not among the choices
    const cache: In = { cache: false }
    // @ts-expect-error a misspelled key, two levels down
    const nested: In = { any: [{ not: { ejcted: '1%' } }] }
    assert.ok([share, rate, cache, nested])
  })
})

const demoRow = { kind: { type: 'object', shape: demoShape }, docs: 'The demo.' } as const
