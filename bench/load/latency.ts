/** The constant-rate case: starts the open-loop client, warms it against the backend, and runs one job after another. */
import { LineClient } from './line-client.ts'
import type { OpenLoopOptions, OpenLoopReport } from './open-loop.ts'

/** Above this the client itself was late (its own collector, a neighbour on its core), and its figures are not the proxy's. */
const acceptedLagUs = 250
/** Of p99 without any proxy */
const acceptedFloorUs = 1000
const tries = 6

function isLate(report: OpenLoopReport): boolean {
  return !report.overloaded && report.errors.length === 0 && report.lagP99Us > acceptedLagUs
}

export class LatencyClient {
  private readonly client: LineClient

  constructor(core: number) {
    this.client = new LineClient(core, 'latency-client.ts')
  }

  private runOnce(job: OpenLoopOptions): Promise<OpenLoopReport> {
    return this.client.ask(job)
  }

  /** Runs a job again when the client was late by its own account; what is late every time says so in `errors`. */
  async run(job: OpenLoopOptions): Promise<OpenLoopReport> {
    let report = await this.runOnce(job)
    for (let again = 1; again < tries && isLate(report); again++) {
      report = await this.runOnce(job)
    }
    if (!isLate(report)) return report
    const late = `the load client itself was late: p99 ${report.lagP99Us} us, ${tries} times`
    return { ...report, errors: [...report.errors, late] }
  }

  /** Compilers quiet: a few seconds straight to the backend */
  async warmUp(job: OpenLoopOptions): Promise<void> {
    await this.runOnce({ ...job, warmUpMs: 0, seconds: 6 })
  }

  /**
   * Straight to the backend, without a proxy: the client's own share of every figure that follows. With `errors` if the
   * client or the backend is what limits, in which case no figure at this rate would be a proxy's.
   */
  async floor(job: OpenLoopOptions): Promise<OpenLoopReport> {
    let report = await this.run(job)
    for (let again = 1; again < tries && (report.overloaded || report.p99Us > acceptedFloorUs); again++) {
      report = await this.run(job)
    }
    if (!report.overloaded && report.p99Us <= acceptedFloorUs) return report
    const bound = `at ${job.rate}/s the load's core is the limit: even without a proxy p99 is ${report.p99Us} us`
    return { ...report, errors: [...report.errors, bound] }
  }

  stop(): void {
    this.client.stop()
  }
}
