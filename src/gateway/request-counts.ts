/**
 * Requests by the class of their status, for metrics. They are counted where the access log gets its records: without it
 * nothing is measured for an exchange, and nothing is counted either.
 */

export class RequestCounts {
  /** Whether all requests come by here */
  counting = false
  /** At index 2 those with a status of 200 to 299, and so on; at 0 those that ended without an answer */
  readonly byClass: number[] = [0, 0, 0, 0, 0, 0]

  add(status: number): void {
    const at = Math.floor(status / 100)
    this.byClass[at >= 1 && at <= 5 ? at : 0]++
  }
}
