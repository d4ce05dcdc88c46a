/**
 * What a command of a running gateway is: one object that the control socket, the admin listener and the command line are made
 * from. A new one is a file in commands/ and a line in commands/all.ts.
 *
 * Its types go from end to end: `run` gives what each process answers, `merge` makes one output of those, and `verb` shows that
 * output to people. Who asks and who answers may be of different versions: see protocol.ts.
 */
import { UsageError } from '../base/errors.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { ProcessMetrics } from '../observe/process-metrics.ts'
import type { Reader } from './input.ts'

/** The process that a command runs in. */
export type Running = {
  readonly gateway: Gateway
  /** The number of this process, from 1 */
  readonly worker: number
  /** The process that stands for the whole gateway: the supervisor of several workers, or this one */
  readonly gatewayPid: number
  /** Milliseconds since 1970 */
  readonly startedAt: number
  metrics(): ProcessMetrics
  /** Of the whole gateway */
  reload(): Promise<void>
  drain(): void
}

/** The answer of one process: `ok`, or why there is none. */
export type Reply<Part> = {
  readonly pid: number
  readonly gateway?: number
  readonly ok?: Part
  readonly error?: string
}

/** The words of a command line, after the verb. */
type VerbWords = { readonly rest: readonly string[]; readonly options: ReadonlyMap<string, string> }

type Shown = {
  /** For standard output */
  readonly text: string
  /** For standard error */
  readonly problem?: string
  /** 0 when left out */
  readonly exitCode?: 0 | 1
}

/** A verb of the command line that is one command; every one has `--config`, `--gateway` and `--json`. */
export type CommandVerb<Input, Output> = {
  /** As in `sallyport help`, without the options that all have */
  readonly usage: string
  readonly summary: string
  /** Further lines for `sallyport help VERB` */
  readonly details: string
  /** Options of its own that take a value */
  readonly values?: readonly string[]
  /** What `input` reads; without it the verb takes no words. Throws UsageError */
  fromWords?(words: VerbWords): unknown
  show(output: Output, input: Input): Shown
}

export interface Command<Input, Part, Output> {
  readonly name: string
  /** `view` tells something, `operate` changes something: the admin listener has the first kind only */
  readonly role: 'view' | 'operate'
  /** `every` process answers for itself, or any `one` answers, or acts, for the whole gateway */
  readonly asks: 'every' | 'one'
  readonly input: Reader<Input>
  run(running: Running, input: Input): Part | Promise<Part>
  /** One output of all answers, of which there is at least one; may throw CommandError */
  merge(replies: readonly Reply<Part>[], input: Input): Output
  /** Milliseconds that an answer may take; 30 s when left out */
  readonly withinMs?: number
  /** The processes that do it end by it: whoever asked waits for that */
  readonly ends?: boolean
  readonly verb?: CommandVerb<Input, Output>
}

export type AnyCommand = Command<unknown, unknown, unknown>

/** The command line and the configuration are right, and the gateway could not do what it was asked for: exit code 1. */
export class CommandError extends UsageError {
  override readonly exitCode = 1
}

/** The answer of the one process that was asked. Throws CommandError with its reason where it could not do it. */
export function onlyAnswer<Part>([reply]: readonly Reply<Part>[]): Part {
  if (reply === undefined || reply.error !== undefined)
    throw new CommandError(reply?.error ?? 'the gateway gave no answer')
  return reply.ok as Part
}
