/**
 * Every option of the configuration is changed in a running gateway: a reload puts it into force, or fails with its name.
 * Beside each row of the schema stands how that is seen (reload-walk/); a row without an effect fails here.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Effect, Table } from './reload-walk/effect.ts'
import { processRows, walkProcess } from './reload-walk/process-rows.ts'
import { schemaRows, withValue } from './reload-walk/rows.ts'
import { Running } from './reload-walk/running.ts'
import { closeTables, tables } from './reload-walk/tables.ts'

after(closeTables)

const withAll = (config: object, values: Readonly<Record<string, unknown>>): object =>
  Object.entries(values).reduce((all, [path, value]) => withValue(all, path, value), config)

async function tryOne(running: Running, base: object, row: string, effect: Effect): Promise<void> {
  const before = withAll(base, effect.given ?? {})
  const changed = withValue(before, row, effect.to)
  assert.ok(!isDeepStrictEqual(before, changed), 'the value is not changed')
  await running.reload(before)
  if ('refused' in effect) {
    await assert.rejects(
      running.reload(changed),
      ({ message }: Error) => effect.refused.test(message) || assert.fail(message),
    )
    return
  }
  const { look, sees } = effect
  const seenBefore = await look(running)
  await running.reload(changed)
  const seen = await look(running)
  const fits = typeof sees === 'function' ? sees(seen) === true : isDeepStrictEqual(seen, sees)
  assert.ok(fits, `after the reload: ${JSON.stringify(seen)}; before: ${JSON.stringify(seenBefore)}`)
  assert.notDeepStrictEqual(seenBefore, seen, 'it looks the same before the reload')
  if (effect.once) return
  await running.reload(before)
  assert.deepStrictEqual(await look(running), seenBefore, 'after the way back')
}

async function walk({ base, effects }: Table): Promise<void> {
  const wrong: string[] = []
  const config = base()
  const running = await Running.start(config)
  for (const [row, effect] of Object.entries(effects)) {
    const own = effect.once ? await Running.start(config) : running
    await tryOne(own, config, row, effect).catch(error => wrong.push(`${row}: ${error.message}`))
    if (own !== running) await own.stop()
  }
  await running.stop()
  assert.deepEqual(wrong, [])
}

describe('a reload', () => {
  it('has an effect, or a refusal, beside every row of the schema', () => {
    const known = [...tables.flatMap(({ effects }) => Object.keys(effects)), ...processRows]
    const rows = schemaRows()
    const missing = [...rows].filter(([path, { own }]) => own && !known.includes(path)).map(([path]) => path)
    assert.deepEqual(missing, [])
    assert.deepEqual(
      known.filter(path => !rows.has(path)),
      [],
    )
    assert.equal(new Set(known).size, known.length, 'a row stands in two tables')
  })

  for (const table of tables) it(`changes ${table.name}`, () => walk(table))

  it('changes what belongs to the process', walkProcess)
})
