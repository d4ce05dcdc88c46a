/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested */
/** The worst texts for what a configuration file takes from variables and files. */
import { expandVariables, protectVariables } from '../../../src/config/engine/environment.ts'
import { FilesRead } from '../../../src/config/engine/files-read.ts'
import { type Worst, worst } from './worst.ts'

const outside = { environment: {}, files: new FilesRead({ values: {}, texts: {}, matches: {} }), folder: '/' }
const file = 'src/config/engine/environment.ts'

export const config: readonly Worst[] = [
  worst(file, 'variables in files that are never closed', 2_000, n => {
    const text = '${file:${a}'.repeat(n / 10)
    return () => protectVariables(text)
  }),
  worst(file, 'braces that are never closed', 2_000, n => {
    const text = '${file:${file:'.repeat(n / 10)
    return () => protectVariables(text)
  }),
  worst(file, 'marks of the protected form that are never closed', 2_000, n => {
    const text = '$\uE000file:$\uE000'.repeat(n / 10)
    return () => expandVariables(text, outside)
  }),
  worst(file, 'closed marks within one that is not', 2_000, n => {
    const text = `$\uE000file:${'$\uE000a\uE001'.repeat(n / 4)}`
    return () => expandVariables(text, outside)
  }),
]
