/**
 * The transforms of one body, in one direction: each piece goes through the first, what that gives through the next, and so on.
 * Whoever is slow, a transform or what takes its output, stops the source: what has come meanwhile is held, which is one
 * read at most for each transform.
 *
 * Re-entrancy: what takes the output may be drained while it is written to, and the source may send more while it is let go
 * on. Pieces never overtake each other: what comes during a call is held and taken up behind it.
 */
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Share } from '../../base/memory-budget.ts'
import type { BodyTransform, Filter } from '../../model/filter.ts'
import type { Fields } from '../../wire/fields.ts'
import { bodyOutput } from './filter-answer.ts'
import type { FilterPromises } from './left-behind.ts'

/** What a body goes to. */
interface BodyTarget {
  /** `false`: wait for `resume`. */
  data(bytes: Buffer, from: number, to: number): boolean
  end(trailers: Fields | null): void
}

/** Whose body it is. */
export interface BodyOwner {
  readonly promises: Pick<FilterPromises, 'begins' | 'settles'>
  /** The source can go on. */
  bodyDrained(): void
  /** A promise of this filter is waited for. */
  bodyWaits(filter: Filter): void
  bodySettled(): void
  /** Nothing more comes of the body. */
  bodyFailed(filter: Filter, error: unknown): void
  /** Wraps what goes on after a promise. */
  resumed(next: () => void): void
}

export type NamedTransform = { readonly filter: Filter; readonly transform: BodyTransform }

export class BodyChain implements BodyTarget {
  private readonly first: BodyStep
  private readonly last: BodyStep
  private readonly steps: readonly BodyStep[]

  /** @param transforms at least one, the first is the one that sees what comes */
  constructor(transforms: readonly NamedTransform[], share: Share, owner: BodyOwner, target: BodyTarget) {
    const steps: BodyStep[] = []
    for (const named of transforms) steps.push(new BodyStep(named, share, owner, steps.at(-1) ?? null))
    steps.forEach((step, at) => {
      step.target = steps[at + 1] ?? target
    })
    this.steps = steps
    this.first = steps[0] as BodyStep
    this.last = steps.at(-1) as BodyStep
  }

  data(bytes: Buffer, from: number, to: number): boolean {
    return this.first.data(bytes, from, to)
  }

  end(trailers: Fields | null): void {
    this.first.end(trailers)
  }

  /** What takes the output can take more. */
  resume(): void {
    this.last.resume()
  }

  /** Says again that a filter is waited for: something else was meanwhile. */
  remind(): void {
    for (const step of this.steps) step.remind()
  }

  drop(): void {
    for (const step of this.steps) step.drop()
  }
}

class BodyStep implements BodyTarget {
  target: BodyTarget | null = null
  private readonly named: NamedTransform
  private readonly owner: BodyOwner
  private readonly before: BodyStep | null
  private readonly held: HeldBytes
  /** A promise of the transform is waited for */
  private pending = false
  /** The target has said that it can take no more */
  private full = false
  /** A call of the transform or the target is under way */
  private calling = false
  /** The source was told to wait */
  private stopped = false
  private ended = false
  private trailers: Fields | null = null
  private over = false

  constructor(named: NamedTransform, share: Share, owner: BodyOwner, before: BodyStep | null) {
    this.named = named
    this.owner = owner
    this.before = before
    this.held = new HeldBytes(share)
  }

  data(bytes: Buffer, from: number, to: number): boolean {
    if (this.over || from === to) return true
    if (this.busy || this.held.length > 0) this.held.add(bytes, from, to)
    else {
      this.call(bytes.subarray(from, to))
      this.goOn()
    }
    this.stopped = this.busy || this.held.length > 0
    return !this.stopped
  }

  end(trailers: Fields | null): void {
    this.ended = true
    this.trailers = trailers
    this.goOn()
  }

  resume(): void {
    this.full = false
    // Whoever stopped the source, with or without this one: it is told.
    this.stopped = true
    this.goOn()
  }

  remind(): void {
    if (this.pending) this.owner.bodyWaits(this.named.filter)
  }

  drop(): void {
    this.over = true
    this.held.clear()
  }

  private get busy(): boolean {
    return this.pending || this.full || this.calling
  }

  /** Takes up what has come meanwhile, and lets the source go on when there is nothing more. */
  private goOn(): void {
    const { held } = this
    while (held.length > 0 && !this.busy && !this.over) {
      const { bytes, from, to } = held
      held.drop(to - from)
      this.call(bytes.subarray(from, to))
    }
    if (this.busy || this.over) return
    if (this.ended) this.finish()
    else if (this.stopped) {
      this.stopped = false
      if (this.before === null) this.owner.bodyDrained()
      else this.before.resume()
    }
  }

  private finish(): void {
    this.ended = false
    this.call(null)
  }

  /** @param piece null: the body is whole */
  private call(piece: Uint8Array | null): void {
    const { transform } = this.named
    this.calling = true
    let given: Buffer | null | Promise<Buffer | null> = null
    try {
      given = bodyOutput(piece === null ? transform.end?.() : transform.chunk(piece))
    } catch (error) {
      this.calling = false
      this.fail(error)
      return
    }
    this.calling = false
    if (given instanceof Promise) this.wait(given, piece === null)
    else this.give(given, piece === null)
  }

  private wait(given: Promise<Buffer | null>, last: boolean): void {
    const { owner } = this
    this.pending = true
    owner.promises.begins()
    owner.bodyWaits(this.named.filter)
    const settle = (next: () => void) => {
      owner.promises.settles()
      owner.resumed(() => {
        if (this.over) return
        this.pending = false
        owner.bodySettled()
        next()
      })
    }
    given.then(
      bytes =>
        settle(() => {
          this.give(bytes, last)
          this.goOn()
        }),
      error => settle(() => this.fail(error)),
    )
  }

  private give(bytes: Buffer | null, last: boolean): void {
    if (bytes !== null && bytes.length > 0 && !this.over) {
      // It may be drained before it has answered, and what comes meanwhile must not overtake this.
      this.full = true
      this.calling = true
      if ((this.target as BodyTarget).data(bytes, 0, bytes.length)) this.full = false
      this.calling = false
    }
    if (last) this.endTarget()
  }

  private endTarget(): void {
    if (this.over) return
    this.over = true
    this.target?.end(this.trailers)
  }

  private fail(error: unknown): void {
    if (this.over) return
    this.drop()
    this.owner.bodyFailed(this.named.filter, error)
  }
}
