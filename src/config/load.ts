/** Finds, reads and validates a configuration. The only file of config/ that the rest of the gateway calls. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../base/errors.ts'
import type { Config, KeyPairFiles } from './config.ts'
import type { Environment } from './engine/environment.ts'
import { parseText, treeFromValue } from './engine/parse.ts'
import { ConfigError, type Problem, type ProblemPlace, Problems, problemPlace } from './engine/problem.ts'
import { childOf, type Node, placeOf } from './engine/tree.ts'
import { defaultState, validate } from './validate.ts'

/** Looked for in this order when no file is named. */
export const defaultFiles = ['sallyport.yaml', 'sallyport.yml', 'sallyport.json', 'sallyport.config.ts'] as const

export type LoadOptions = {
  /** Relative to `cwd`; by default the first of defaultFiles that exists */
  readonly file?: string
  /** Default: of the process */
  readonly cwd?: string
  /** Default: of the process */
  readonly env?: Environment
  /** A ConfigInput given in code; its relative paths begin at `cwd`, and no file is read */
  readonly value?: unknown
}

export type Loaded = {
  readonly config: Config
  /** Warnings and notes, in file order */
  readonly warnings: readonly Problem[]
  /** Where the value under these keys is written, or the nearest around it: for what is found out later */
  place(...keys: (string | number)[]): ProblemPlace
}

/** @throws ConfigError with every problem there is */
export async function loadConfig(options: LoadOptions = {}): Promise<Loaded> {
  const folder = path.resolve(options.cwd ?? process.cwd())
  const environment = options.env ?? process.env
  const problems = new Problems()
  if (options.value !== undefined) {
    const tree = treeFromValue(options.value, null, problems)
    return finish(validate(tree, { file: null, folder, environment, filesLater: false }, problems), tree, problems)
  }
  const name = options.file ?? findFile(folder)
  const file = path.resolve(folder, name)
  const tree = await readFile(file, name, environment, problems)
  // After a syntax error the rest would be guesses; after an unset variable it is not.
  const origin = { file, folder: path.dirname(file), environment, filesLater: false }
  return finish(tree && validate(tree, origin, problems), tree, problems)
}

function finish(config: Config | undefined, tree: Node | undefined, problems: Problems): Loaded {
  if (!config || !tree || problems.failed) throw new ConfigError(problems.list())
  return { config, warnings: problems.list(), place: (...keys) => problemPlace(placeOf(tree, ...keys)) }
}

export type CaPlace = { readonly state: string; readonly own: KeyPairFiles | null }

/**
 * Where the internal CA is, for the verbs that make it and issue from it: files that the configuration names need not be there
 * yet, nor the environment variables of anything else. Every other mistake is one.
 * @throws ConfigError
 */
export async function loadCaPlace(options: Pick<LoadOptions, 'file'> = {}): Promise<CaPlace> {
  const folder = process.cwd()
  const environment = process.env
  const problems = new Problems()
  const name = options.file ?? findFile(folder)
  const file = path.resolve(folder, name)
  const tree = await readFile(file, name, environment, problems, at => !caPlaces.includes(at))
  const origin = { file, folder: path.dirname(file), environment, filesLater: true }
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

async function readFile(
  file: string,
  name: string,
  environment: Environment,
  problems: Problems,
  mayWait?: (path: string) => boolean,
): Promise<Node | undefined> {
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found) throw fileError(name, 'does not exist', file === name ? undefined : `looked for ${file}`)
  if (found.isDirectory())
    throw fileError(name, 'is a folder, not a file', `as in ${path.join(name, defaultFiles[0])}`)
  switch (path.extname(file)) {
    case '.yaml':
    case '.yml':
    case '.json':
      return parseText(readText(file, name), name, environment, problems, mayWait)
    case '.ts':
    case '.mts':
    case '.js':
    case '.mjs':
      return treeFromValue(await importValue(file, name, found.mtimeMs), name, problems)
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
