/** Places for something that costs a process too much to be had without end. */
export class Room {
  taken = 0
  /** How often there was none */
  refused = 0
  readonly places: number

  constructor(places: number) {
    this.places = places
  }

  /** @returns whether there was a place, which is `leave`'s to give back */
  take(): boolean {
    if (this.taken >= this.places) {
      this.refused++
      return false
    }
    this.taken++
    return true
  }

  leave(): void {
    this.taken--
  }
}
