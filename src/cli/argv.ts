/** The words after `sallyport`: a verb, its arguments, its options. Unknown options are errors that name what there is. */
import { UsageError } from '../base/errors.ts'

export type Words = {
  readonly verb: string
  readonly rest: readonly string[]
  readonly options: ReadonlyMap<string, string>
}

/** Options that take a value, and those that are flags, by verb. `-c` is `--config`. */
type Accepted = { readonly values: readonly string[]; readonly flags: readonly string[] }

export function parseWords(argv: readonly string[], accepted: (verb: string) => Accepted | null): Words {
  const [first = 'help', ...others] = argv
  const verb =
    first === '--help' || first === '-h' ? 'help' : first === '--version' || first === '-v' ? 'version' : first
  const known = accepted(verb)
  if (known === null) throw new UsageError(`there is no verb '${verb}'; 'sallyport help' lists them`)
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
      const all = [...known.values, ...known.flags].map(each => `--${each}`).join(', ')
      throw new UsageError(`'${word}' is not an option of ${verb}${all === '' ? '' : `; it has ${all}`}`)
    }
  }
  return { verb, rest, options }
}
