/** The process around an open loop, for LineClient. */
import { serveJobs } from './line-client.ts'
import { OpenLoop } from './open-loop.ts'

await serveJobs(job => new OpenLoop(job).run())
