/** The row of `use`, wherever snippets can be put. config/snippets.ts has done so before rows are read. */
import { snippetName } from '../engine/forms.ts'
import { row } from '../engine/kinds.ts'

export const useRow = row({
  kind: { type: 'list', of: { type: 'string', form: snippetName, write: 'snippet' }, single: true },
  docs: 'Names of `snippets` whose options are added here, those of a later one before those of an earlier one. Options that are written here count first.',
  example: '[secure]',
})
