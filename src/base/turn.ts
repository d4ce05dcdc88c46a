/**
 * Work that is done once at the end of a turn of the event loop, however often it was asked for: what many streams have
 * written to one connection leaves in one TLS record and one system call.
 */

export interface TurnTask {
  endOfTurn(): void
}

export class Turn {
  #tasks: TurnTask[] = []
  #running: TurnTask[] = []
  readonly #fault: (where: string, error: unknown) => void
  readonly #run = () => {
    const tasks = this.#tasks
    // Two lists take turns, so that a busy loop allocates none.
    this.#tasks = this.#running
    this.#running = tasks
    for (const task of tasks) {
      try {
        task.endOfTurn()
      } catch (error) {
        this.#fault('end of turn', error)
      }
    }
    tasks.length = 0
  }

  constructor(fault: (where: string, error: unknown) => void) {
    this.#fault = fault
  }

  /** The caller sees to it that a task is not asked for twice. */
  later(task: TurnTask): void {
    if (this.#tasks.length === 0) setImmediate(this.#run)
    this.#tasks.push(task)
  }
}
