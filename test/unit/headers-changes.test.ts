/** `headers` on one head: one pass gives what the changes would give one after the other. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Change, compileChanges, textOf } from '../../src/features/headers/changes.ts'
import type { Facts, Template } from '../../src/features/template.ts'
import { Fields } from '../../src/wire/fields.ts'

const constant = (text: string): Template => Object.assign(() => text, { constant: text })
const filled =
  (value: string | null): Template =>
  () =>
    value
const set = (name: string, template: Template): Change => ({ does: 'set', name, template })
const add = (name: string, template: Template): Change => ({ does: 'add', name, template })
const remove = (name: string): Change => ({ does: 'remove', name })
const facts = {} as Facts

function oneByOne(changes: readonly Change[], fields: Fields): string {
  for (const change of changes) {
    const value = change.does === 'remove' ? null : change.template(facts)
    if (change.does !== 'add') fields.delete(change.name)
    if (value !== null) fields.append(change.name, value)
  }
  return fields.text
}

describe('changes of header fields', () => {
  const head = 'A: 1\r\nb: 2\r\nA: 3\r\nabc: 4\r\nX-A:\t5 \r\n'
  const cases: Record<string, readonly Change[]> = {
    nothing: [],
    'a field is set': [set('a', constant('new'))],
    'a field is set and added to': [set('a', constant('new')), add('a', constant('more'))],
    'what an outer level sets, an inner one removes': [set('c', constant('x')), remove('c')],
    'what an outer level adds, an inner one sets': [add('b', constant('x')), set('b', filled('y'))],
    'a value that is not there removes the field': [set('a', filled(null)), set('d', constant('x'))],
    'a value that is not there adds nothing': [add('a', filled(null)), add('a', filled('x'))],
    'all at once': [
      remove('b'),
      set('x-a', filled('6')),
      add('e', constant('7')),
      set('a', constant('8')),
      remove('z'),
    ],
  }
  for (const [title, changes] of Object.entries(cases)) {
    it(title, () => {
      const { gone, lines, added } = compileChanges(changes)
      const fields = new Fields(head)
      fields.replace(gone, textOf(lines, facts), added)
      assert.equal(fields.text, oneByOne(changes, new Fields(head)))
    })
  }

  it('are what every order of three changes gives', () => {
    const some = [
      set('a', constant('s')),
      set('a', filled(null)),
      add('a', filled('p')),
      remove('a'),
      set('b', filled('q')),
    ]
    for (const first of some)
      for (const second of some)
        for (const third of some) {
          const { gone, lines, added } = compileChanges([first, second, third])
          const fields = new Fields(head)
          fields.replace(gone, textOf(lines, facts), added)
          assert.equal(fields.text, oneByOne([first, second, third], new Fields(head)))
        }
  })
})
