/** The demo's configuration as a file, for `sallyport map`, `check` and `explain`: `npm start` runs it with backends. */
import path from 'node:path'
import { openLocalCa } from '../../src/certs/ca/local-ca.ts'
import { demoConfig, exampleBackends } from './config.ts'

const state = path.join(import.meta.dirname, '.sallyport')

export default demoConfig(8443, state, openLocalCa(state).file ?? '', exampleBackends)
