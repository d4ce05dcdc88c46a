/**
 * The ports of a gateway with several workers. Workers bind with SO_REUSEPORT, and so would those of another gateway: the
 * kernel would spread connections over both, and clients would get answers of either configuration. So the supervisor
 * binds each port alone for a moment before its workers do, which fails while anybody else has it, and keeps a claim on
 * it in the state folder for as long as it lives, since two that start at once would both find the port free.
 *
 * A claim is a row of numbered files, `ports/ADDRESS-PORT.NUMBER`, of which the highest counts; the next number is taken
 * by link(2), which one of several succeeds in. The claim of a process that is gone, or that cannot be seen from here
 * (another machine or container, which has ports of its own), counts for nothing.
 */
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { messageOf, UsageError } from '../base/errors.ts'
import { formatIdentity, isDead, parseIdentity, thisProcess } from '../storage/process-identity.ts'
import { bindAlone } from '../transport/bind-alone.ts'

/** Why a reload fails that changes the address of a port. */
const addressChange = (from: Port, to: Port): string =>
  `cannot listen on ${to.address}:${to.port} (EADDRINUSE): listen.address cannot be changed from ${from.address} by a reload, ` +
  'since the port is in use; restart the gateway'

type Port = { readonly address: string; readonly port: number }

/** Workers whose supervisor was killed let go of their ports within moments. */
const lettingGoMs = 5_000
const againMs = 50

export class Ports {
  private readonly self = thisProcess()
  private readonly held = new Map<string, Port>()

  /** Throws UsageError where somebody else has one of them; those that were held before stay held. */
  async claim(state: string, ports: readonly Port[]): Promise<void> {
    const fresh: Port[] = []
    try {
      for (const port of ports) {
        if (this.held.has(nameOf(port))) continue
        const tookOver = this.take(state, port)
        this.held.set(nameOf(port), port)
        fresh.push(port)
        await this.bind(port, tookOver ? lettingGoMs : 0)
      }
    } catch (error) {
      for (const port of fresh) this.release(state, port)
      throw error
    }
  }

  private async bind(port: Port, withinMs: number): Promise<void> {
    try {
      await bindSoon(port, withinMs)
    } catch (error) {
      const own = [...this.held.values()].find(each => each.port === port.port && each.address !== port.address)
      throw own === undefined || !(error instanceof UsageError) ? error : new UsageError(addressChange(own, port))
    }
  }

  /** Releases those that are not among these. */
  keepOnly(state: string, ports: readonly Port[]): void {
    const kept = new Set(ports.map(nameOf))
    for (const [name, port] of this.held) if (!kept.has(name)) this.release(state, port)
  }

  private release(state: string, port: Port): void {
    this.held.delete(nameOf(port))
    try {
      write(folderOf(state), nameOf(port), (newest(folderOf(state), nameOf(port))?.number ?? 0) + 1, 'free')
    } catch {
      // The claim ends with this process.
    }
  }

  /** @returns whether a process that is gone had it last */
  private take(state: string, port: Port): boolean {
    const folder = folderOf(state)
    const name = nameOf(port)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      for (;;) {
        const last = newest(folder, name)
        const holder = last === null ? null : parseIdentity(last.text)
        // Without a start time a pid that has come again would keep the port for ever.
        if (holder !== null && holder.start !== '0' && isDead(holder, this.self) === false)
          throw new UsageError(
            `cannot listen on ${port.address}:${port.port}: the gateway of process ${holder.pid} has it, with the same state ` +
              `folder (${state}); end that one first, as with 'sallyport drain'`,
          )
        if (write(folder, name, (last?.number ?? 0) + 1, formatIdentity(this.self))) return holder !== null
      }
    } catch (error) {
      if (error instanceof UsageError) throw error
      // A state folder that cannot be written to: that the port is free has to do.
      return false
    }
  }
}

const folderOf = (state: string): string => path.join(state, 'ports')
const nameOf = ({ address, port }: Port): string => `${address.replaceAll(':', '_')}-${port}`

function newest(folder: string, name: string): { readonly number: number; readonly text: string } | null {
  let number = 0
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(`${name}.`)) continue
    const found = Number(file.slice(name.length + 1))
    if (Number.isSafeInteger(found) && found > number) number = found
  }
  if (number === 0) return null
  return { number, text: readFileSync(path.join(folder, `${name}.${number}`), 'utf8').trim() }
}

/** False where another process was faster. Older numbers are removed; the highest never is. */
function write(folder: string, name: string, number: number, text: string): boolean {
  const file = path.join(folder, `${name}.${number}`)
  const draft = `${file}.new-${process.pid}`
  writeFileSync(draft, `${text}\n`, { mode: 0o600 })
  try {
    linkSync(draft, file)
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
  for (let old = number - 1; old > 0; old--) {
    const before = path.join(folder, `${name}.${old}`)
    if (!exists(before)) break
    rmSync(before, { force: true })
  }
  return true
}

function exists(file: string): boolean {
  try {
    readFileSync(file)
    return true
  } catch {
    return false
  }
}

async function bindSoon({ address, port }: Port, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    try {
      await bindAlone(address, port)
      return
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === undefined) throw error
      // What else may be wrong with an address, the workers say.
      if (code !== 'EADDRINUSE') return
      if (performance.now() >= until)
        throw new UsageError(
          `cannot listen on ${address}:${port} (EADDRINUSE): another program has it (${messageOf(error)})`,
        )
    }
    await new Promise(resolve => setTimeout(resolve, againMs))
  }
}
