/** What a mistake on the command line is answered with. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import { parseWords } from '../../src/cli/argv.ts'

const commands = [
  { name: 'run', values: ['config', 'workers'], flags: [] },
  { name: 'check', values: ['config'], flags: ['json'] },
  { name: 'version', values: [], flags: [] },
  { name: 'help', values: [], flags: [] },
]

describe('a command line', () => {
  const refused: readonly (readonly [words: string, said: string])[] = [
    ['chekc', "there is no command 'chekc'; did you mean check?"],
    ['frobnicate', "there is no command 'frobnicate'; 'sallyport help' lists them"],
    ['run --wrokers 2', "'--wrokers' is not an option of run; did you mean --workers?"],
    ['run --frobnicate', "'--frobnicate' is not an option of run; it has --config, --workers"],
    ['run -x', "'-x' is not an option of run"],
    ['version --json', "'--json' is not an option of version"],
    ['check --json=yes', '--json takes no value'],
    ['run --workers', '--workers needs a value'],
  ]
  for (const [words, said] of refused)
    it(`'${words}' is refused`, () =>
      assert.throws(
        () => parseWords(words.split(' '), commands),
        error => error instanceof UsageError && error.message === said,
      ))

  it('has options anywhere, with a space or =', () => {
    const { verb, rest, options } = parseWords(['check', '--json', 'a.yaml', '--config=b.yaml'], commands)
    assert.deepEqual(
      [verb, rest, [...options]],
      [
        'check',
        ['a.yaml'],
        [
          ['json', 'true'],
          ['config', 'b.yaml'],
        ],
      ],
    )
  })

  it('is help where it is empty, or asks for it', () => {
    assert.equal(parseWords([], commands).verb, 'help')
    assert.deepEqual(parseWords(['run', '--help'], commands).rest, ['run'])
  })
})
