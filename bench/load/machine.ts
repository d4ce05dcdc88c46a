/** What the figures were measured on, without a date or a host name. */
import { readFileSync } from 'node:fs'
import os from 'node:os'
import type { PeerName } from './setup.ts'
import { peerTitles } from './table.ts'

export type Machine = {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly memoryGb: number
  readonly versions: Partial<Record<PeerName, string>>
  readonly runtime: string
}

export function describeMachine(versions: Partial<Record<PeerName, string>>, runtime: string): Machine {
  const cpu = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? os.arch()
  const cores = os.cpus().length
  return { cpu, cores, kernel: os.release(), memoryGb: Math.round(os.totalmem() / 2 ** 30), versions, runtime }
}

const machineTitles: Partial<Record<PeerName, string>> = { node: 'Node' }

/** The machine, then the versions */
export function machineLines({ cpu, cores, kernel, memoryGb, versions, runtime }: Machine): [string, string] {
  const peers = Object.entries(versions)
    .filter(([name]) => !['plain', 'two', 'bare', 'bare-node'].includes(name))
    .map(([name, version]) => {
      if (name === 'sallyport') return `Sallyport ${version} on ${runtime}`
      return `${machineTitles[name as PeerName] ?? peerTitles[name as PeerName]} ${version}`
    })
  return [`${cpu}, ${cores} cores, ${memoryGb} GB; Linux ${kernel}`, peers.join(', ')]
}
