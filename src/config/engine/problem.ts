/** What is wrong with a configuration, and where. Problems are collected, never thrown one by one. */
import { UsageError } from '../../base/errors.ts'
import { HiddenValues } from './hidden-values.ts'
import type { Place } from './tree.ts'

export type Problem = {
  /** An error stops the start; a warning is likely a mistake; a note is said once and is no mistake */
  readonly severity: 'error' | 'warning' | 'note'
  /** As the user named it; null for a configuration given in code */
  readonly file: string | null
  /** From 1; null where the configuration is code, or the problem is with the whole file */
  readonly line: number | null
  readonly column: number | null
  /** `sites[0].host`; empty for the whole configuration */
  readonly path: string
  readonly message: string
  /** What to do about it */
  readonly hint?: string
}

export type ProblemPlace = Pick<Problem, 'file' | 'line' | 'column' | 'path'>

export function problemPlace(at: Place): ProblemPlace {
  return { file: at.source.name, ...at.source.position(at.offset), path: at.path }
}

/** The configuration cannot be used. The message lists every problem, one line (and a hint) each. */
export class ConfigError extends UsageError {
  /** Errors, then the warnings and notes that were found beside them; each in file order */
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `FILE:LINE:COLUMN: message`, or `FILE: sites[0].host: message` for code, and the hint on an indented line. */
export function formatProblem(problem: Problem): string {
  const word = problem.severity === 'error' ? '' : `${problem.severity}: `
  const file = problem.file ?? 'configuration'
  const where =
    problem.line !== null
      ? `${file}:${problem.line}:${problem.column}`
      : problem.path === ''
        ? file
        : `${file}: ${problem.path}`
  return `${where}: ${word}${problem.message}${problem.hint ? `\n  ${problem.hint}` : ''}`
}

/** Collects problems while a configuration is read. */
export class Problems {
  /** Values that no message may quote */
  readonly hidden = new HiddenValues()
  readonly #found: { problem: Problem; order: number; offset: number }[] = []
  readonly #said = new Set<string>()
  #errors = 0

  error(at: Place, message: string, hint?: string): void {
    this.#errors++
    this.#add('error', at, message, hint)
  }

  warn(at: Place, message: string, hint?: string): void {
    this.#add('warning', at, message, hint)
  }

  note(at: Place, message: string, hint?: string): void {
    this.#add('note', at, message, hint)
  }

  get failed(): boolean {
    return this.#errors > 0
  }

  /** Errors first; each in the order of the files, and within a file from its start. */
  list(): Problem[] {
    const rank = (problem: Problem) => (problem.severity === 'error' ? 0 : 1)
    return this.#found
      .toSorted((a, b) => rank(a.problem) - rank(b.problem) || a.order - b.order || a.offset - b.offset)
      .map(found => found.problem)
  }

  #add(severity: Problem['severity'], at: Place, message: string, hint: string | undefined): void {
    const { hidden } = this
    const told = hidden.clean(message, at.path) ?? `the value of ${hidden.writtenAt(at.path)} cannot be used here`
    const advice = hint === undefined ? null : hidden.clean(hint, at.path)
    const problem = { severity, ...problemPlace(at), message: told }
    // What many sites have from one snippet is said once.
    const key =
      problem.line === null ? null : `${problem.file}:${problem.line}:${problem.column} ${severity} ${told}`
    if (key !== null && this.#said.has(key)) return
    if (key !== null) this.#said.add(key)
    const order = at.source.included?.order ?? 0
    this.#found.push({
      problem: advice === null ? problem : { ...problem, hint: advice },
      order,
      offset: at.offset,
    })
  }
}
