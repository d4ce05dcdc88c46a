/** Child processes on a core of their own, which never outlive this process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

export type Running = {
  readonly pid: number
  /** Standard output and error */
  readonly logFile: string
  exited(): boolean
  stop(): Promise<void>
}

export type Finished = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

const alive = new Set<ChildProcess>()

/** 10,000 client connections, and some to backends, need more than the usual 1,024 descriptors. */
const raiseLimit = 'ulimit -n 16384 2>/dev/null || ulimit -n $(ulimit -Hn); exec "$@"'

/** taskset and sh replace themselves, so the pid is the command's own. */
function pin(core: number, command: readonly string[]): string[] {
  return ['-c', String(core), 'sh', '-c', raiseLimit, 'sh', ...command]
}

function follow(child: ChildProcess): ChildProcess {
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  child.once('error', () => alive.delete(child))
  return child
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Already gone.
  }
}

/** Every child leads a process group of its own, so that its children go with it. */
export function killAll(): void {
  for (const child of alive) killGroup(child)
}

export type Start = {
  readonly core: number
  readonly command: readonly string[]
  readonly env?: Record<string, string>
  readonly logFile: string
  readonly cwd?: string
}

/** Starts a long-lived process. */
export function start({ core, command, env, logFile, cwd }: Start): Running {
  const log = openSync(logFile, 'a')
  const child = follow(
    spawn('taskset', pin(core, command), {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...process.env, ...env },
      cwd,
    }),
  )
  closeSync(log)
  const exited = () => child.exitCode !== null || child.signalCode !== null
  return {
    pid: child.pid ?? -1,
    logFile,
    exited,
    async stop() {
      if (!exited()) {
        child.kill('SIGTERM')
        for (let tries = 0; tries < 150 && !exited(); tries++) await wait(20)
      }
      killGroup(child)
    },
  }
}

/** Starts a child whose standard input and output the caller speaks to. */
export function startPiped({ core, command, env }: Pick<Start, 'core' | 'command' | 'env'>): ChildProcess {
  return follow(
    spawn('taskset', pin(core, command), {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
      env: { ...process.env, ...env },
    }),
  )
}

/** Runs a command to its end. */
export function run({ core, command, env }: Pick<Start, 'core' | 'command' | 'env'>): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = follow(
      spawn('taskset', pin(core, command), {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        env: { ...process.env, ...env },
      }),
    )
    let stdout = ''
    let stderr = ''
    child.stdout?.on('data', chunk => (stdout += chunk))
    child.stderr?.on('data', chunk => (stderr += chunk))
    child.once('error', reject)
    child.once('close', status => resolve({ status, stdout, stderr }))
  })
}

/** The end of a process's log, for error messages. */
export function logTail(running: Running, lines = 12): string {
  return readFileSync(running.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
}
