/** Open connections by client. What is counted here lives only as long as a client has one. */

export class ClientCounts {
  private readonly counts = new Map<string, number>()

  /** @returns how many there were before */
  enter(client: string): number {
    const count = this.counts.get(client) ?? 0
    this.counts.set(client, count + 1)
    return count
  }

  leave(client: string): void {
    const count = (this.counts.get(client) ?? 1) - 1
    if (count <= 0) this.counts.delete(client)
    else this.counts.set(client, count)
  }
}
