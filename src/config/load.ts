/** Finds, reads and validates a configuration. The only file of config/ that the rest of the gateway calls. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../base/errors.ts'
import type { Config, KeyPairFiles } from './config.ts'
import type { Environment } from './engine/environment.ts'
import { FilesRead, type FilesRecord } from './engine/files-read.ts'
import { parseText, treeFromValue } from './engine/parse.ts'
import { ConfigError, type Problem, type ProblemPlace, Problems, problemPlace } from './engine/problem.ts'
import { childOf, holdsCode, type Node, placeOf } from './engine/tree.ts'
import { type Including, withIncluded } from './include.ts'
import { configShape } from './schema.ts'
import { withSnippets } from './snippets.ts'
import { defaultState, validate } from './validate.ts'

/** Looked for in this order when no file is named. */
export const defaultFiles = ['sallyport.yaml', 'sallyport.yml', 'sallyport.json', 'sallyport.config.ts'] as const

type LoadOptions = {
  /** Relative to `cwd`; by default the first of defaultFiles that exists */
  readonly file?: string
  /** Default: of the process */
  readonly cwd?: string
  /** Default: of the process */
  readonly env?: Environment
  /** A ConfigInput given in code; its relative paths begin at `cwd`, and no file is read */
  readonly value?: unknown
  /** What another process has read: the file is not looked at, whatever it holds by now */
  readonly source?: ConfigSource
}

/**
 * What a configuration was read from, so that another process of the same environment reads the same one. `file` is
 * absolute, or null for code without a file; `name` is for messages; relative paths begin at `folder`.
 */
export type ConfigSource = {
  readonly file: string | null
  readonly name: string | null
  readonly folder: string
} /** `files`: what was read besides the text */ & (
  | { readonly kind: 'text'; readonly text: string; readonly files: FilesRecord }
  /** From code, and free of functions: survives JSON */
  | { readonly kind: 'value'; readonly value: unknown; readonly files: FilesRecord }
  /** Code with functions, which cannot be handed on: it is loaded from the file again */
  | { readonly kind: 'module' }
)

export type Loaded = {
  readonly config: Config
  /** Warnings and notes, in file order */
  readonly warnings: readonly Problem[]
  readonly source: ConfigSource
  /** The text without values that came from environment variables and files: for messages about the configuration */
  hide(text: string): string
  /** Where the value under these keys is written, or the nearest around it: for what is found out later */
  place(...keys: (string | number)[]): ProblemPlace
}

/** @throws ConfigError with every problem there is */
export async function loadConfig(options: LoadOptions = {}): Promise<Loaded> {
  const folder = path.resolve(options.cwd ?? process.cwd())
  const environment = options.env ?? process.env
  const problems = new Problems()
  const [given, tree] =
    options.source !== undefined
      ? await readSource(options.source, environment, problems)
      : options.value !== undefined
        ? fromValue({ file: null, name: null, folder }, options.value, environment, problems)
        : await readNamed(folder, options.file ?? findFile(folder), environment, problems)
  // After a syntax error the rest would be guesses; after an unset variable it is not.
  const origin = { file: given.file, folder: given.folder, environment, filesLater: false }
  const config = tree && validate(tree, origin, problems)
  if (!config || !tree || problems.failed) throw new ConfigError(problems.list())
  return { config, warnings: problems.list(), source: given, hide: hidingBy(problems), place: placesIn(tree) }
}

// Made apart: whoever keeps the one must not keep what the other needs. Of ten thousand sites the tree takes 60 MB.
const hidingBy =
  ({ hidden }: Problems) =>
  (text: string) =>
    hidden.replace(text)
const placesIn =
  (tree: Node) =>
  (...keys: (string | number)[]) =>
    problemPlace(placeOf(tree, ...keys))

type Origin = { readonly file: string | null; readonly name: string | null; readonly folder: string }
type Read = readonly [source: ConfigSource, tree: Node | undefined]

async function readSource(given: ConfigSource, environment: Environment, problems: Problems): Promise<Read> {
  const { file, name, folder } = given
  switch (given.kind) {
    case 'text':
      return [given, fromText(given, given.text, { environment, files: new FilesRead(given.files) }, problems)]
    case 'value':
      return fromValue({ file, name, folder }, given.value, environment, problems, new FilesRead(given.files))
    default:
      return await readNamed(folder, file ?? '', environment, problems, name ?? undefined)
  }
}

type Reading = Pick<Including, 'environment' | 'files' | 'mayWait'>

function fromText(origin: Origin, text: string, reading: Reading, problems: Problems): Node | undefined {
  const { environment, ...rest } = reading
  const tree = parseText(text, origin.name ?? '', environment, problems, { folder: origin.folder, ...rest })
  return tree && composed(tree, { ...origin, ...reading }, problems)
}

function fromValue(
  origin: Origin,
  value: unknown,
  environment: Environment,
  problems: Problems,
  files = new FilesRead(),
): Read {
  const own = treeFromValue(value, origin.name, problems)
  const tree = composed(own, { ...origin, environment, files }, problems)
  if (holdsCode(own)) return [{ ...origin, kind: 'module' }, tree]
  return [{ ...origin, kind: 'value', value, files: files.record }, tree]
}

async function readNamed(
  folder: string,
  file: string,
  environment: Environment,
  problems: Problems,
  name = file,
): Promise<Read> {
  const absolute = path.resolve(folder, file)
  const origin: Origin = { file: absolute, name, folder: path.dirname(absolute) }
  const content = await readContent(absolute, name)
  if (!('text' in content)) return fromValue(origin, content.value, environment, problems)
  const files = new FilesRead()
  const tree = fromText(origin, content.text, { environment, files }, problems)
  return [{ ...origin, kind: 'text', text: content.text, files: files.record }, tree]
}

/** Of all files, and without snippets. */
function composed(tree: Node, including: Including, problems: Problems): Node | undefined {
  const whole = withIncluded(tree, including, topKeys, problems)
  return whole && withSnippets(whole, problems)
}

const topKeys = Object.keys(configShape.rows)

export type CaPlace = { readonly state: string; readonly own: KeyPairFiles | null }

/**
 * Where the internal CA is, for the verbs that make it and issue from it: files that the configuration names need not be there
 * yet, nor the environment variables and files of anything else. Every other mistake is one.
 * @throws ConfigError
 */
export async function loadCaPlace(options: Pick<LoadOptions, 'file'> = {}): Promise<CaPlace> {
  const folder = process.cwd()
  const environment = process.env
  const problems = new Problems()
  const name = options.file ?? findFile(folder)
  const file = path.resolve(folder, name)
  const content = await readContent(file, name)
  const origin = { file, name, folder: path.dirname(file), environment, filesLater: true }
  const mayWait = (at: string) => !caPlaces.includes(at)
  const tree =
    'text' in content
      ? fromText(origin, content.text, { environment, files: new FilesRead(), mayWait }, problems)
      : fromValue(origin, content.value, environment, problems)[1]
  if (tree) validate(tree, origin, problems)
  if (!tree || problems.failed) throw new ConfigError(problems.list())
  const fileAt = (...keys: string[]): string | null => {
    const node = keys.reduce<Node | undefined>((node, key) => node && childOf(node, key), tree)
    return node?.kind === 'scalar' && node.value !== null ? path.resolve(origin.folder, String(node.value)) : null
  }
  const [chainFile, keyFile] = [fileAt('ca', 'chain'), fileAt('ca', 'key')]
  const own = chainFile !== null && keyFile !== null ? { chainFile, keyFile } : null
  return { state: fileAt('state') ?? defaultState(origin), own }
}

const caPlaces = ['state', 'ca.chain', 'ca.key']

function findFile(folder: string): string {
  const found = defaultFiles.find(name => existsSync(path.join(folder, name)))
  if (found) return found
  throw fileError(
    folder,
    'there is no configuration here',
    `looked for ${defaultFiles.join(', ')}; name another file with -c FILE`,
  )
}

function fileError(file: string, message: string, hint?: string): ConfigError {
  const problem: Problem = { severity: 'error', file, line: null, column: null, path: '', message }
  return new ConfigError([hint === undefined ? problem : { ...problem, hint }])
}

type Content = { readonly text: string } | { readonly value: unknown }

async function readContent(file: string, name: string): Promise<Content> {
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found) throw fileError(name, 'does not exist', file === name ? undefined : `looked for ${file}`)
  if (found.isDirectory())
    throw fileError(name, 'is a folder, not a file', `as in ${path.join(name, defaultFiles[0])}`)
  switch (path.extname(file)) {
    case '.yaml':
    case '.yml':
    case '.json':
      return { text: readText(file, name) }
    case '.ts':
    case '.mts':
    case '.js':
    case '.mjs':
      return { value: await importValue(file, name, found.mtimeMs) }
    default:
      throw fileError(
        name,
        'is not a kind of file that can be read',
        'a configuration is .yaml, .yml, .json, .ts, .mts, .js or .mjs',
      )
  }
}

function readText(file: string, name: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw fileError(name, `cannot be read: ${messageOf(error)}`)
  }
}

/**
 * A changed file must be read again. Node caches modules by URL with its query, so the time of the last change makes a
 * new one; Bun leaves out the query of a file URL, but lists its modules in require.cache. See config-typescript.test.ts.
 */
async function importValue(file: string, name: string, changedMs: number): Promise<unknown> {
  const { cache } = createRequire(import.meta.url)
  for (const key of [file, realpathSync(file)]) delete cache[key]
  let module: { readonly default?: unknown }
  try {
    module = await import(`${pathToFileURL(file).href}?changed=${changedMs}`)
  } catch (error) {
    throw fileError(name, `cannot be loaded: ${messageOf(error)}`)
  }
  if (module.default === undefined) {
    throw fileError(name, 'has no default export', 'write export default defineConfig({ ... })')
  }
  return module.default
}
