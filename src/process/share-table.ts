/**
 * Who holds how many units of the limits that workers keep together (model/shared-limit.ts). The supervisor has it: what it grants
 * is never more than the limit in all, and before it says that there is nothing left it asks the others for what they do not use.
 * What a worker that has ended held is free again.
 */

type Holdings<Holder> = Map<Holder, number>

export class ShareTable<Holder> {
  private readonly held = new Map<string, Holdings<Holder>>()
  private readonly recalling = new Map<string, Promise<void>>()
  private readonly ended = new Set<Holder>()
  private readonly recall: (holder: Holder, key: string) => Promise<number>

  /** @param recall asks a holder for what it does not use, and resolves with how much that was; must not reject */
  constructor(recall: (holder: Holder, key: string) => Promise<number>) {
    this.recall = recall
  }

  async take(holder: Holder, key: string, wanted: number, limit: number): Promise<number> {
    if (this.total(key) >= limit) await this.recallFromOthers(holder, key)
    const granted = Math.max(0, Math.min(wanted, limit - this.total(key)))
    // Its exit came while others were asked: nobody would give this back.
    if (granted === 0 || this.ended.has(holder)) return 0
    this.add(holder, key, granted)
    return granted
  }

  give(holder: Holder, key: string, units: number): void {
    this.add(holder, key, -units)
  }

  left(holder: Holder): void {
    this.ended.add(holder)
    for (const holdings of this.held.values()) holdings.delete(holder)
  }

  /** Units in the hands of workers, used or not */
  total(key: string): number {
    let sum = 0
    for (const units of this.held.get(key)?.values() ?? []) sum += units
    return sum
  }

  /** Several that find nothing left at the same time wait for the same answers. */
  private recallFromOthers(holder: Holder, key: string): Promise<void> {
    const under = this.recalling.get(key)
    if (under !== undefined) return under
    const others = [...(this.held.get(key) ?? [])].filter(([other, units]) => other !== holder && units > 0)
    const asked = Promise.all(
      others.map(async ([other]) => this.give(other, key, await this.recall(other, key))),
    ).then(() => void this.recalling.delete(key))
    this.recalling.set(key, asked)
    return asked
  }

  private add(holder: Holder, key: string, units: number): void {
    if (this.ended.has(holder)) return
    const holdings = this.held.get(key) ?? new Map<Holder, number>()
    // A worker that counted by itself for a while gives back more than it was granted.
    holdings.set(holder, Math.max(0, (holdings.get(holder) ?? 0) + units))
    this.held.set(key, holdings)
  }
}
