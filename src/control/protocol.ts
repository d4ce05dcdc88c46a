/**
 * What goes over a control socket: a question as one line of JSON, an answer as another. Both carry the version of the
 * protocol: a command of one version that meets a gateway of another gets a sentence that says so, never an answer that
 * it takes for another thing.
 *
 * The number goes up when a command takes or gives something else than before, so that the other side would misread it; a new
 * command, or a new field that old ones ignore, leaves it. The first protocol had no number.
 */
import { UsageError } from '../base/errors.ts'
import { ownVersion } from '../base/version.ts'

export const protocol = 2

type Question = { readonly command: string; readonly input: unknown }

/** Of a process, with its answer. */
export type Answer = {
  readonly protocol: number
  readonly version: string
  /** `gatewayPid` of Running */
  readonly gateway: number
  /** It ends soon: another gateway may be there to take its place */
  readonly draining: boolean
  readonly ok?: unknown
  readonly error?: string
}

export const questionText = (question: Question): string =>
  `${JSON.stringify({ protocol, version: ownVersion, ...question })}\n`

/** Throws UsageError where it is none, or of another version. */
export function readQuestion(line: string): Question {
  const { protocol: other, version, command, input } = objectOf(line)
  if (other !== protocol)
    throw new UsageError(mismatch('this gateway', ownVersion, protocol, 'the command', version, other))
  if (typeof command !== 'string') throw new UsageError('a request must name its command')
  return { command, input: input ?? null }
}

/** @param pid of the process that answered. Throws UsageError where it is no answer, or of another version. */
export function readAnswer(line: string, pid: number): Answer {
  const { protocol: other, version, gateway, draining, ok, error } = objectOf(line)
  if (other !== protocol)
    throw new UsageError(
      mismatch('this command', ownVersion, protocol, `the gateway of process ${pid}`, version, other),
    )
  if (
    typeof gateway !== 'number' ||
    typeof version !== 'string' ||
    (error !== undefined && typeof error !== 'string')
  )
    throw new UsageError('the process sent an invalid response')
  const common = { protocol, version, gateway, draining: draining === true }
  return error === undefined ? { ...common, ok } : { ...common, error }
}

function objectOf(line: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new UsageError(line === '' ? 'the process ended before it answered' : 'what came is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError('what came is no object')
  return value as Readonly<Record<string, unknown>>
}

function mismatch(
  self: string,
  ownVersion: string,
  own: number,
  who: string,
  version: unknown,
  other: unknown,
): string {
  const named = typeof version === 'string' && /^[\w.+-]{1,40}$/.test(version) ? `is sallyport ${version} and ` : ''
  const speaks = typeof other === 'number' ? `control protocol ${other}` : 'an older control protocol'
  return (
    `${who} ${named}speaks ${speaks}, and ${self} is sallyport ${ownVersion} with ${own}: ` +
    'use the command of the version that the gateway runs, or restart the gateway with this one'
  )
}
