/** What the configurations of all proxies have in common when they answer by themselves, or have thousands of sites. */
import type { Setup } from '../setup.ts'
import { smallBody } from './backend.ts'

/** The body of `localhost` where no backend gives it */
export const answerOf = (many: Setup['many']): string => many?.answer ?? smallBody

export const manyNames = (many: Setup['many']): string[] =>
  Array.from({ length: many?.sites ?? 0 }, (_, at) => `s${at}.bench.test`)

/** Where a proxy that writes a file of its own has its access log */
export const accessLog = (folder: string): string => `${folder}/access.log`
