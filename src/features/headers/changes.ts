/** What `headers` does to one head, compiled to one pass over its fields: the names that go, and the lines that come. */
import { type FieldNames, fieldNames } from '../../wire/fields.ts'
import type { Facts, Template } from '../template.ts'

/** In order: the changes of outer levels first. */
export type Change =
  | { readonly does: 'remove'; readonly name: string }
  | { readonly does: 'set' | 'add'; readonly name: string; readonly template: Template }

export type CompiledChanges = {
  readonly gone: FieldNames
  /** Field lines, each with its CRLF; text where nothing is filled in */
  readonly lines: string | ((facts: Facts) => string)
  /** The bits of their names */
  readonly added: number
  readonly touchesDate: boolean
}

export const textOf = (lines: CompiledChanges['lines'], facts: Facts): string =>
  typeof lines === 'string' ? lines : lines(facts)

export function compileChanges(changes: readonly Change[]): CompiledChanges {
  const names = new Set<string>()
  let added: Extract<Change, { template: Template }>[] = []
  for (const change of changes) {
    if (change.does !== 'add') {
      names.add(change.name)
      added = added.filter(({ name }) => name !== change.name)
    }
    if (change.does !== 'remove') added.push(change)
  }
  return {
    gone: fieldNames([...names]),
    lines: linesOf(added),
    added: fieldNames(added.map(({ name }) => name)).bits,
    touchesDate: changes.some(({ name }) => name === 'date'),
  }
}

function linesOf(
  added: readonly { readonly name: string; readonly template: Template }[],
): CompiledChanges['lines'] {
  const constant = added.map(({ name, template }) =>
    template.constant === undefined ? null : `${name}: ${template.constant}\r\n`,
  )
  if (constant.every(line => line !== null)) {
    return constant.join('')
  }
  return facts => {
    let text = ''
    for (let at = 0; at < added.length; at++) {
      const line = constant[at]
      if (line !== null) text += line
      else {
        const { name, template } = added[at] as (typeof added)[number]
        const value = template(facts)
        if (value !== null) text += `${name}: ${value}\r\n`
      }
    }
    return text
  }
}
