/** The words after `sallyport`: a command, its arguments, its options. Unknown ones are errors that name what there is. */
import { UsageError } from '../base/errors.ts'
import { didYouMean } from '../config/engine/nearest.ts'

export type Words = {
  readonly verb: string
  readonly rest: readonly string[]
  readonly options: ReadonlyMap<string, string>
}

/** What a command takes: options with a value, and those that are flags. `-c` is `--config`. */
type Accepted = { readonly name: string; readonly values: readonly string[]; readonly flags: readonly string[] }

export function parseWords(argv: readonly string[], commands: readonly Accepted[]): Words {
  const [first = 'help', ...others] = argv
  const verb =
    first === '--help' || first === '-h' ? 'help' : first === '--version' || first === '-v' ? 'version' : first
  const known = commands.find(({ name }) => name === verb)
  if (known === undefined) {
    const names = commands.map(({ name }) => name)
    const hint = didYouMean(verb, names) ?? "'sallyport help' lists them"
    throw new UsageError(`there is no command '${verb}'; ${hint}`)
  }
  const options = new Map<string, string>()
  const rest: string[] = []
  for (let at = 0; at < others.length; at++) {
    const word = others[at] as string
    if (!word.startsWith('-') || word === '-') {
      rest.push(word)
      continue
    }
    const equals = word.indexOf('=')
    const name = word === '-c' ? 'config' : word.slice(2, equals < 0 ? undefined : equals)
    if (word === '--help' || word === '-h') return { verb: 'help', rest: [verb], options }
    if (word !== '-c' && !word.startsWith('--')) throw new UsageError(`'${word}' is not an option of ${verb}`)
    if (known.flags.includes(name)) {
      if (equals >= 0) throw new UsageError(`--${name} takes no value`)
      options.set(name, 'true')
    } else if (known.values.includes(name)) {
      const value = equals >= 0 ? word.slice(equals + 1) : others[++at]
      if (value === undefined) throw new UsageError(`${word} needs a value`)
      options.set(name, value)
    } else {
      const all = [...known.values, ...known.flags].map(each => `--${each}`)
      const hint = didYouMean(word, all) ?? (all.length === 0 ? null : `it has ${all.join(', ')}`)
      throw new UsageError(`'${word}' is not an option of ${verb}${hint === null ? '' : `; ${hint}`}`)
    }
  }
  return { verb, rest, options }
}
