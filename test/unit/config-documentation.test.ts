/** What is generated from the rows says what the rows say, and what the rows show as examples works. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { errorTable } from '../../src/base/errors.ts'
import { jsonSchema } from '../../src/config/engine/json-schema.ts'
import type { Kind, Shape } from '../../src/config/engine/kinds.ts'
import { configMarkdown, errorsMarkdown } from '../../src/config/engine/markdown.ts'
import { parseText } from '../../src/config/engine/parse.ts'
import { Problems } from '../../src/config/engine/problem.ts'
import { readValue, startReader } from '../../src/config/engine/read.ts'
import { childOf } from '../../src/config/engine/tree.ts'
import { configShape } from '../../src/config/schema.ts'

function shapesWithin(kind: Kind): Shape[] {
  switch (kind.type) {
    case 'object':
      return [kind.shape, ...Object.values(kind.shape.rows).flatMap(row => shapesWithin(row.kind))]
    case 'list':
    case 'map':
      return shapesWithin(kind.of)
    case 'either':
      return [kind.text, kind.list, kind.map].flatMap(one => (one ? shapesWithin(one) : []))
    default:
      return []
  }
}

const shapes = [...new Set(shapesWithin({ type: 'object', shape: configShape }))]

/** Problems of one value, but for files that only a real configuration has. */
function problemsOfValue(yaml: string, key: string, kind: Kind): string[] {
  const problems = new Problems()
  // 32 bytes in base64url: what the strictest of them takes.
  const names = [...yaml.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => [name, 'A'.repeat(43)])
  const node = childOf(parseText(yaml, 'row', Object.fromEntries(names), problems)!, key)
  readValue(node!, kind, startReader(problems, '/'))
  return problems.list().flatMap(problem => (problem.message.endsWith('does not exist') ? [] : [problem.message]))
}

describe('the rows', () => {
  it('have examples that are accepted', () => {
    let examples = 0
    for (const shape of shapes) {
      for (const [key, row] of Object.entries(shape.rows)) {
        if (row.example === undefined) continue
        examples++
        assert.deepEqual(problemsOfValue(`${key}: ${row.example}`, key, row.kind), [], `${shape.name}: ${key}`)
      }
    }
    assert.ok(examples > 50, `${examples} examples`)
  })
  it('have defaults that are accepted', () => {
    for (const shape of shapes) {
      for (const [key, row] of Object.entries(shape.rows)) {
        if (row.default === undefined || typeof row.default === 'object') continue
        assert.deepEqual(
          problemsOfValue(`${key}: ${JSON.stringify(row.default)}`, key, row.kind),
          [],
          `${shape.name}: ${key}`,
        )
      }
    }
  })
  it('are told apart by the names of their shapes', () => {
    assert.equal(new Set(shapes.map(shape => shape.name)).size, shapes.length)
  })
  it('are each in the page and in the JSON Schema', () => {
    const page = configMarkdown(configShape)
    const schema = jsonSchema(configShape) as unknown as {
      properties: object
      $defs: Record<string, { properties: object }>
    }
    for (const shape of shapes) {
      const section = page.split(`\n## ${shape.name}\n`)[1]?.split('\n## ')[0] ?? ''
      const properties =
        shape === configShape ? schema.properties : schema.$defs[shape.name.replaceAll(' ', '-')]!.properties
      for (const [key, row] of Object.entries(shape.rows)) {
        assert.ok(section.includes(`\n| \`${key}\` |`), `${shape.name}: ${key} is not in docs/config.md`)
        const filter = row.kind.type === 'list' && row.kind.of.type === 'filter'
        assert.equal(Object.hasOwn(properties, key), !filter, `${shape.name}: ${key} in the schema`)
      }
    }
  })
})

describe('docs/', () => {
  it('is what the rows say now: else run npm run docs', () => {
    const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
    assert.equal(read('config.md'), configMarkdown(configShape))
    assert.equal(read('errors.md'), errorsMarkdown())
    assert.deepEqual(JSON.parse(read('config.schema.json')), JSON.parse(JSON.stringify(jsonSchema(configShape))))
    for (const code of Object.keys(errorTable)) assert.ok(read('errors.md').includes(`| \`${code}\` |`), code)
  })
})
