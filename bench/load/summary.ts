/** Samples to figures: medians over the valid rounds, and ratios to what a case is held against, of the same round. */
import { type Case, type Goal, metricOf, type Reference } from './case.ts'
import { type Metric, noisyShare, type PeerName, type Sample } from './setup.ts'
import { type Spread, spread } from './statistics.ts'

export type Figures = {
  readonly peer: PeerName
  /** The row's metric */
  readonly value: Spread | null
  /** Median, least and greatest of the rounds' own ratios to what the row is held against first */
  readonly ofReference: Spread | null
  readonly perSecond: Spread | null
  readonly p50Us: Spread | null
  readonly p99Us: Spread | null
  readonly invalid: number
  readonly overloaded: number
}

/** `too noisy`: the rounds do not agree, or others used the core and it is close: another run may say the opposite. */
export type Verdict = 'holds' | 'MISS' | 'too noisy' | 'too few rounds' | '-'

export type Judged = Goal & {
  /** Of paired rounds */
  readonly ratio: Spread | null
  /** Whose figure it was divided by, and its median */
  readonly theirs: { readonly peer: PeerName; readonly value: number } | null
  readonly verdict: Verdict
}

/** One row: a case and one of its metrics */
export type CaseSummary = {
  readonly of: Case
  readonly metric: Metric
  readonly figures: readonly Figures[]
  readonly judged: readonly Judged[]
}

/** Of the rounds that must be on one side of the goal, unless all are near it */
const agreement = 0.8
/** Rounds whose ratios differ by no more than this share are near each other. */
const nearShare = 0.1
/** Where most measurements were disturbed, the ratio must be further from the goal than this share. */
const noisyMargin = 0.15
/** One or two rounds agree by chance. */
const fewestRounds = 3

function peersFor(of: Reference, subject: PeerName): readonly PeerName[] {
  switch (of) {
    case 'best':
      return ['nginx', 'haproxy', 'caddy']
    case 'bare':
      return [subject === 'node' ? 'bare-node' : 'bare']
    case 'one':
      return ['sallyport']
    case 'full':
      return [subject]
    default:
      return [of]
  }
}

/** One summary for each metric of the case, its own first */
export function summarize(one: Case, samples: readonly Sample[], peers: readonly PeerName[]): CaseSummary[] {
  return [one.metric, ...(one.also ?? [])].map(metric => summarizeMetric(one, metric, samples, peers))
}

function summarizeMetric(
  one: Case,
  metric: Metric,
  samples: readonly Sample[],
  peers: readonly PeerName[],
): CaseSummary {
  const mine = samples.filter(sample => sample.caseId === one.id)
  const valid = mine.filter(sample => sample.problems.length === 0)
  /** What a peer's figures are divided by: by round, the least of the reference's */
  const referenceOf = (of: Reference, subject: PeerName) => {
    const found = new Map<number, number>()
    const among = peersFor(of, subject)
    for (const sample of valid) {
      const value = of === 'full' ? sample.fullCpuUs : metricOf(sample, metric)
      if (!among.includes(sample.peer) || value === undefined) continue
      found.set(sample.round, Math.min(value, found.get(sample.round) ?? value))
    }
    return found
  }
  const ratiosOf = (peer: PeerName, of: ReadonlyMap<number, number>) =>
    valid
      .filter(sample => sample.peer === peer)
      .map(sample => {
        const value = metricOf(sample, metric)
        const theirs = of.get(sample.round)
        return value === undefined || theirs === undefined || theirs === 0 ? undefined : value / theirs
      })
      .filter(ratio => ratio !== undefined)
  const [first = { of: 'best', subject: 'sallyport' } as const] = one.goals
  const mainReference = referenceOf(first.of, first.subject)
  const figures = peers.map((peer): Figures => {
    const own = valid.filter(sample => sample.peer === peer)
    const numbers = (read: (sample: Sample) => number | undefined) =>
      spread(own.map(read).filter(value => value !== undefined))
    return {
      peer,
      value: numbers(sample => metricOf(sample, metric)),
      ofReference: spread(ratiosOf(peer, mainReference)),
      perSecond: numbers(sample => sample.perSecond),
      p50Us: numbers(sample => sample.p50Us),
      p99Us: numbers(sample => sample.p99Us),
      invalid: mine.filter(sample => sample.peer === peer && sample.problems.length > 0).length,
      overloaded: own.filter(sample => sample.overloaded).length,
    }
  })
  const judge = (goal: Goal): Judged => {
    const { of, subject } = goal
    // What a case promises is about its own metric; of the others only the ratio is shown.
    const most = metric === one.metric ? goal.most : null
    const among = peersFor(of, subject)
    const ratios = ratiosOf(subject, referenceOf(of, subject))
    const involved = valid.filter(({ peer }) => peer === subject || among.includes(peer))
    const isNoisy =
      involved.filter(({ foreignShare = 0 }) => foreignShare > noisyShare).length > involved.length / 2
    const overloaded = figures.some(({ peer, overloaded }) => peer === subject && overloaded > 0)
    return {
      ...goal,
      most,
      ratio: spread(ratios),
      theirs: theirsOf(of, among, figures, valid),
      verdict: overloaded && most !== null ? 'MISS' : verdictOf(ratios, most, isNoisy),
    }
  }
  // Another version takes part in every row when it is asked for.
  const toBase: Goal = { subject: 'sallyport', of: 'base', most: null }
  const held = peers.includes('base') ? [...one.goals, toBase] : one.goals
  return { of: one, metric, figures, judged: held.map(judge) }
}

function theirsOf(
  of: Reference,
  among: readonly PeerName[],
  figures: readonly Figures[],
  valid: readonly Sample[],
): Judged['theirs'] {
  let least: Judged['theirs'] = null
  for (const peer of among) {
    const full = valid.filter(sample => sample.peer === peer).map(({ fullCpuUs }) => fullCpuUs)
    const value =
      of === 'full'
        ? spread(full.filter(us => us !== undefined))?.median
        : figures.find(one => one.peer === peer)?.value?.median
    if (value !== undefined && (least === null || value < least.value)) least = { peer, value }
  }
  return least
}

/** `isNoisy`: other processes disturbed most of the measurements. */
export function verdictOf(ratios: readonly number[], most: number | null, isNoisy: boolean): Verdict {
  const range = spread(ratios)
  if (range === null || most === null) return '-'
  if (ratios.length < fewestRounds) return 'too few rounds'
  const holding = ratios.filter(ratio => ratio <= most).length
  const side = range.median <= most ? 'holds' : 'MISS'
  if (isNoisy && Math.abs(range.median / most - 1) < noisyMargin) return 'too noisy'
  if (Math.max(holding, ratios.length - holding) >= agreement * ratios.length) return side
  return (range.max - range.min) / range.median > nearShare ? 'too noisy' : side
}
