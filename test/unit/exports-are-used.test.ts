/**
 * What a file exports is what others build on: a name that no other file imports is private to its own, and one that only tests
 * import is code that the product does not need.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'

const root = path.resolve(import.meta.dirname, '../..')

/** Exported for tests although nothing in src uses them, with the reason. */
const forTests: Readonly<Record<string, string>> = {
  'src/acme/revoke.ts revokeByKey': 'how a test makes a CA suggest an early renewal',
  'src/certs/ca/local-ca.ts memoryCa': 'a local CA of any age, which a folder on disk cannot be',
  'src/proxy/exchange/fork.ts forkExchange': 'for mirrors, hedges and caches, of which there is none yet',
  'src/proxy/exchange/hold-body.ts holdBody':
    'for stages that look at a body before it goes on, of which no feature has one yet',
  'src/wire/hello-reader.ts peekHello': 'the verdict on a whole hello, as the reference for the one read in pieces',
  'src/wire/ja4.ts ja4Raw': 'the published vectors give this form, which shows what a wrong hash is made of',
}

type Sources = ReadonlyMap<string, string>

function readSources(): Sources {
  const files = ['src', 'test', 'bench', 'scripts', 'examples'].flatMap(folder =>
    readdirSync(path.join(root, folder), { recursive: true })
      .map(name => `${folder}/${String(name).split(path.sep).join('/')}`)
      .filter(name => /\.m?ts$/.test(name) && !name.includes('node_modules')),
  )
  return new Map(files.map(file => [file, readFileSync(path.join(root, file), 'utf8')]))
}

const exported =
  /^export (?:declare )?(?:abstract )?(?:async )?(const|let|function\*?|class|type|interface) (\w+)/gm
const named = /^(?:import|export)(?: type)? \{([^}]*)\} from '(\.[^']+)'/gm
const whole = /^(?:import|export)(?: type)? \* (?:as \w+ )?from '(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)/gm

/** Who imports `FILE NAME`; for a file that is imported whole, every file that mentions the name. */
function importers(sources: Sources): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const add = (target: string, name: string, by: string) => {
    const key = `${target} ${name}`
    const others = found.get(key)
    if (others === undefined) found.set(key, [by])
    else others.push(by)
  }
  for (const [file, text] of sources) {
    const targetOf = (specifier: string) => path.posix.join(path.posix.dirname(file), specifier)
    for (const [, names = '', specifier = ''] of text.matchAll(named))
      for (const name of names.split(',')) {
        const [first = ''] = name
          .trim()
          .replace(/^type /, '')
          .split(' as ')
        if (first !== '') add(targetOf(specifier), first, file)
      }
    for (const [, one, other] of text.matchAll(whole)) {
      const target = targetOf((one ?? other) as string)
      for (const [, , name = ''] of (sources.get(target) ?? '').matchAll(exported))
        if (mentions(text, name) > 0) add(target, name, file)
    }
  }
  return found
}

const mentions = (text: string, name: string): number => text.split(new RegExp(`\\b${name}\\b`)).length - 1

function problems(sources: Sources): string[] {
  const by = importers(sources)
  return [...sources].flatMap(([file, text]) => {
    if (!file.startsWith('src/') || file === 'src/index.ts') return []
    return [...text.matchAll(exported)].flatMap(([, kind = '', name = '']) => {
      const users = by.get(`${file} ${name}`) ?? []
      if (users.length === 0) return [`${file}: no other file imports ${name}; do not export it`]
      const inProduct = users.some(user => !user.startsWith('test/')) || mentions(text, name) > 1
      if (inProduct || kind === 'type' || kind === 'interface' || `${file} ${name}` in forTests) return []
      return [`${file}: only tests use ${name}; remove it, or list it here with its reason`]
    })
  })
}

describe('every export of src', () => {
  const sources = readSources()

  test('is imported by another file, and used by more than tests', () => {
    assert.deepEqual(problems(sources), [])
  })

  test('that is listed for tests is there, and used by them', () => {
    const by = importers(sources)
    for (const key of Object.keys(forTests)) assert.ok(by.has(key), key)
  })

  test('is missed where no other file imports it, whatever comments say', () => {
    const [a, b] = ['src/a.ts', 'src/b.ts']
    const text = 'export const used = 1\nexport type Spare = number\nexport function tested() {}\n'
    const made = new Map([
      [a, text],
      [b, "import { used } from './a.ts'\n// Spare\n"],
      ['test/a.test.ts', "import { tested } from '../src/a.ts'\n"],
    ])
    assert.deepEqual(problems(made), [
      'src/a.ts: no other file imports Spare; do not export it',
      'src/a.ts: only tests use tested; remove it, or list it here with its reason',
    ])
    const by = importers(new Map([...made, [b, "import * as a from './a.ts'\na.Spare"]]))
    assert.deepEqual(by.get('src/a.ts Spare'), [b])
  })
})
