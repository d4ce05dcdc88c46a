/**
 * A gateway in a process of its own, whose memory is measured. This file is both ends: as the program it is given the
 * ports of backends, and answers how much of it is resident after a collection; imported, it starts that program.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { ConfigInput } from '../../src/config/config.ts'
import { createGateway } from '../../src/index.ts'
import { temporaryFolder } from './certificates.ts'

/** Ports of backends, by how they behave. */
export type Backends = Readonly<Record<string, number>>

export type MeasuredGateway = {
  /** Cleartext HTTP, TLS (which has the layer 4 sites too), and one that expects PROXY headers */
  readonly ports: readonly [plain: number, tls: number, proxied: number]
  /** Bytes of its resident set, after as many collections as it takes to have at most `enough`, or a few */
  resident(enough?: number): Promise<number>
  /** Bytes that it counts as held, and the connections it has reset for its budget */
  held(): Promise<{ readonly bytes: number; readonly reset: number }>
  /** What it has logged with an error */
  readonly logs: string[]
  stop(): Promise<void>
}

const never = () => new Promise<undefined>(() => {})

function configOf(backends: Backends, state: string, memory: string): ConfigInput {
  const at = (name: string) => `http://127.0.0.1:${backends[name]}`
  const address = '127.0.0.1'
  return {
    state,
    listen: [
      { port: 0, address, cleartext: 'serve' },
      { port: 0, address },
      { port: 0, address, cleartext: 'serve', proxyProtocol: { from: ['127.0.0.0/8'] } },
    ],
    log: { access: false, level: 'warn' },
    limits: { memory: memory as 'auto' },
    // `idle` ends what a paused link holds for a client that has left: longer than an attack, shorter than the last test.
    timeouts: {
      connect: '10m',
      handshake: '10m',
      head: '10m',
      bodyIdle: '10m',
      bodyGrace: '10m',
      idle: '20s',
      drain: '1s',
    },
    sites: [
      {
        host: 'localhost',
        certificate: 'local',
        routes: [
          { match: { path: '/respond' }, respond: { status: 200, body: 'x'.repeat(2_000) } },
          { match: { path: '/redirect' }, redirect: { to: `https://localhost/${'y'.repeat(1_000)}` } },
          {
            match: { path: '/unconnected' },
            to: { endpoints: [`https://127.0.0.1:${backends['silent']}`], tls: { verify: false } },
          },
          {
            match: { path: '/asking' },
            to: [at('sink')],
            filters: [{ name: 'asking', request: never }],
            timeouts: { total: '4s' },
          },
          {
            match: { path: '/looking' },
            to: [at('flood')],
            filters: [{ name: 'looking', response: never }],
            timeouts: { total: '4s' },
          },
          {
            match: { path: '/changing' },
            to: [at('flood')],
            filters: [{ name: 'changing', responseBody: () => ({ chunk: async bytes => bytes }) }],
          },
          {
            match: { path: '/stuck' },
            to: [at('flood')],
            filters: [
              { name: 'stuck', responseBody: () => ({ chunk: never }), requestBody: () => ({ chunk: never }) },
            ],
            timeouts: { filter: '10m' },
          },
          {
            match: { path: '/reading' },
            to: [at('sink')],
            filters: [{ name: 'reading', request: x => x.request.readBody(65_536, 'prefix').then(never) }],
            timeouts: { filter: '10m' },
          },
          ...['silent', 'sink', 'flood', 'interim', 'pages', 'tunnel'].map(name => ({
            match: { path: `/${name}` },
            to: [at(name)],
          })),
          ...['interim2', 'flood2', 'silent2'].map(name => ({
            match: { path: `/${name}` },
            to: { endpoints: [at(name)], http: 2 as const },
          })),
        ],
      },
      { host: 'tcp.test', certificate: 'local', tcp: { to: [`127.0.0.1:${backends['silent']}`] } },
      { host: 'flood.test', certificate: 'local', tcp: { to: [`127.0.0.1:${backends['flood']}`] } },
    ],
  }
}

export async function measuredGateway(backends: Backends, memory = 'auto'): Promise<MeasuredGateway> {
  const execArgv = process.versions['bun'] === undefined ? ['--expose-gc'] : []
  const child = fork(import.meta.filename, { execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const logs: string[] = []
  child.on('message', (message: { log?: string }) => {
    if (message.log !== undefined) logs.push(message.log)
  })
  const ask = async <T>(question: object, answer: string): Promise<T> => {
    const answered = new Promise<T>((resolve, reject) => {
      const take = (message: Record<string, unknown>) => {
        if (!(answer in message) && !('failed' in message)) return
        child.off('message', take)
        if ('failed' in message) reject(new Error(String(message['failed'])))
        else resolve(message[answer] as T)
      }
      child.on('message', take)
    })
    child.send(question)
    return answered
  }
  const ports = await ask<[number, number, number]>(
    { backends, memory, state: temporaryFolder('sallyport-memory-') },
    'ports',
  )
  return {
    ports,
    logs,
    resident: (enough = 0) => ask<number>({ ask: 'resident', enough }, 'resident'),
    held: () => ask<{ bytes: number; reset: number }>({ ask: 'held' }, 'held'),
    stop: () => stop(child),
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

type Collecting = { Bun?: { gc(force: boolean): void }; gc?(): void }

/** What was freed goes back to the system a little later: the lowest of several looks counts. */
async function resident(enough: number): Promise<number> {
  const { Bun: bun, gc } = globalThis as Collecting
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 8 && least > enough; look++) {
    if (look > 0) await new Promise(resolve => setTimeout(resolve, 50))
    bun?.gc(true)
    gc?.()
    least = Math.min(least, process.memoryUsage.rss())
  }
  return least
}

function main(): void {
  const send = (message: object) => void process.send?.(message)
  let answers: Record<string, (enough: number) => Promise<object>> = {}
  process.on(
    'message',
    (message: { backends?: Backends; state: string; memory: string; ask: string; enough: number }) => {
      if (message.backends === undefined) {
        answers[message.ask]?.(message.enough).then(send)
        return
      }
      const config = configOf(message.backends, message.state, message.memory)
      createGateway(config, { selfTested: true, out: text => send({ log: text }) }).then(
        gateway => {
          answers = {
            resident: async enough => ({ resident: await resident(enough) }),
            held: async () => ({ held: { bytes: gateway.budget.total, reset: gateway.budget.ended } }),
          }
          send({ ports: gateway.ports })
        },
        error => send({ failed: String(error) }),
      )
    },
  )
  process.on('disconnect', () => process.exit(0))
}

if (process.argv[1] === import.meta.filename) main()
