/** Samples to figures: medians over the valid rounds, and ratios to the peer that the case is held against, of the same round. */
import { type Case, metricOf } from './cases.ts'
import type { PeerName, Sample } from './setup.ts'
import { type Spread, spread } from './statistics.ts'

export type Figures = {
  readonly peer: PeerName
  /** The case's metric */
  readonly value: Spread | null
  /** Median, least and greatest of the rounds' own ratios */
  readonly ofReference: Spread | null
  /** The same, to the peer `base` */
  readonly ofBase: Spread | null
  readonly perSecond: Spread | null
  readonly p50Us: Spread | null
  readonly p99Us: Spread | null
  readonly invalid: number
  readonly overloaded: number
}

export type Verdict = 'aim met' | 'pass' | 'MISS' | '-'

export type CaseSummary = { readonly of: Case; readonly figures: readonly Figures[]; readonly verdict: Verdict }

const references: Record<NonNullable<Case['against']>, readonly PeerName[]> = {
  nginx: ['nginx'],
  better: ['nginx', 'haproxy'],
  plain: ['plain'],
}

export function summarize(one: Case, samples: readonly Sample[], peers: readonly PeerName[]): CaseSummary {
  const mine = samples.filter(sample => sample.caseId === one.id)
  const valid = mine.filter(sample => sample.problems.length === 0)
  /** By round, the best of these peers */
  const best = (of: readonly PeerName[]) => {
    const found = new Map<number, number>()
    for (const sample of valid) {
      const value = metricOf(sample, one.metric)
      if (!of.includes(sample.peer) || value === undefined) continue
      found.set(sample.round, Math.min(value, found.get(sample.round) ?? value))
    }
    return found
  }
  const reference = best(references[one.against ?? 'nginx'])
  const base = best(['base'])
  const figures = peers.map((peer): Figures => {
    const own = valid.filter(sample => sample.peer === peer)
    const numbers = (read: (sample: Sample) => number | undefined) =>
      spread(own.map(read).filter(value => value !== undefined))
    const ratio = (of: ReadonlyMap<number, number>) => (sample: Sample) => {
      const value = metricOf(sample, one.metric)
      const theirs = of.get(sample.round)
      return value === undefined || theirs === undefined ? undefined : value / theirs
    }
    return {
      peer,
      value: numbers(sample => metricOf(sample, one.metric)),
      ofReference: numbers(ratio(reference)),
      ofBase: numbers(ratio(base)),
      perSecond: numbers(sample => sample.perSecond),
      p50Us: numbers(sample => sample.p50Us),
      p99Us: numbers(sample => sample.p99Us),
      invalid: mine.filter(sample => sample.peer === peer && sample.problems.length > 0).length,
      overloaded: own.filter(sample => sample.overloaded).length,
    }
  })
  return {
    of: one,
    figures,
    verdict: judge(
      one,
      figures.find(({ peer }) => peer === 'sallyport'),
    ),
  }
}

function judge(one: Case, sallyport: Figures | undefined): Verdict {
  if (sallyport === undefined) return '-'
  if (sallyport.overloaded > 0) return 'MISS'
  const ratio = sallyport.ofReference?.median
  if (ratio === undefined) return '-'
  if (ratio > one.bar) return 'MISS'
  return one.aim !== null && ratio <= one.aim ? 'aim met' : 'pass'
}
