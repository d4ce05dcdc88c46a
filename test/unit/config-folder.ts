/** A folder with a configuration, for the tests beside this file: written, loaded, removed. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { ConfigError, formatProblem } from '../../src/config/engine/problem.ts'
import { type Loaded, loadConfig } from '../../src/config/load.ts'

export type Files = Readonly<Record<string, string>>

/** Calls `use` with a folder that holds the files. */
export async function withFolder<T>(files: Files, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-config-'))
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
      writeFileSync(path.join(folder, name), text)
    }
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

type Env = Readonly<Record<string, string>>

/** Loads `sallyport.yaml` with this text. */
export function load(yaml: string, env: Env = {}, files: Files = {}): Promise<Loaded> {
  return withFolder({ 'sallyport.yaml': yaml, ...files }, cwd => loadConfig({ cwd, env }))
}

/** What is wrong with this text: one entry a problem, with its hint after a line break. */
export async function problemsOf(yaml: string, env: Env = {}, files: Files = {}): Promise<string[]> {
  return withFolder({ 'sallyport.yaml': yaml, ...files }, cwd => failure({ cwd, env }, cwd))
}

/** What is wrong with a configuration in code. */
export async function problemsOfValue(value: unknown): Promise<string[]> {
  return withFolder({}, cwd => failure({ cwd, env: {}, value }, cwd))
}

async function failure(options: Parameters<typeof loadConfig>[0], folder: string): Promise<string[]> {
  try {
    await loadConfig(options)
  } catch (error) {
    assert.ok(error instanceof ConfigError, `not a ConfigError: ${error}`)
    return error.problems.map(problem => formatProblem(problem).replaceAll(folder, 'FOLDER').replace('\n  ', '\n'))
  }
  return []
}

/** A correct file around what a test is about. */
export function around(site: string, rest = ''): string {
  return `listen: [{ port: 443 }]\nsites:\n  - host: a.test\n    certificate: local\n${site.replace(/^/gm, '    ')}\n${rest}`
}
