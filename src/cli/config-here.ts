/** The configuration that a verb is about: the file that is named, the one in this folder, or that of `sallyport proxy` here. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Config } from '../config/config.ts'
import { defaultFiles, loadConfig } from '../config/load.ts'
import { defaultState } from '../config/validate.ts'

/** `sallyport proxy` has no file. Its state is where it would be beside one, and is how a running one is found. */
export async function configHere(file: string | undefined): Promise<Config> {
  const folder = process.cwd()
  const none = file === undefined && !defaultFiles.some(name => existsSync(path.join(folder, name)))
  if (none && existsSync(defaultState({ folder, environment: process.env }))) {
    const sites = [{ host: 'localhost', certificate: 'local', to: 'http://localhost' }]
    return (await loadConfig({ value: { listen: [{ port: 0 }], sites } })).config
  }
  return (await loadConfig(file === undefined ? {} : { file })).config
}
