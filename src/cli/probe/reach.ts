/** Finds the address of a server to be probed, and what speaks there: every failure is a sentence for whoever typed the name. */
import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { messageOf } from '../../base/errors.ts'
import { writeClientHello } from '../../wire/client-hello-write.ts'

export type Target = { readonly host: string; readonly port: number; readonly serverName: string | null }
/** One address for the whole probe: the next one of the name may be another server. */
export type Reached = Target & { readonly address: string }

export const answerMs = 5_000

/** Rejects with a sentence where nobody answers, or not with TLS. */
export async function reach(target: Target): Promise<Reached> {
  const { host, port } = target
  const addresses = await lookup(host, { all: true }).catch(error => {
    throw new Error(`there is no address for the name ${host} (${codeOf(error)})`)
  })
  let last: unknown = null
  for (const { address } of addresses) {
    try {
      const reached = { ...target, address }
      const hello = {
        version: 0x0303,
        suites: [0xc02b, 0xc02f, 0x002f],
        groups: [29, 23],
        serverName: target.serverName,
      }
      const said = await firstWords(reached, writeClientHello(hello))
      await refuseCleartext(reached, said)
      return reached
    } catch (error) {
      last = error
    }
  }
  const code = codeOf(last)
  if (code === 'ECONNREFUSED') throw new Error(`refuses the connection: nothing listens on port ${port}`)
  if (code === 'ECONNRESET') throw new Error('resets the connection')
  if (code.startsWith('E')) throw new Error(`cannot be reached (${code})`)
  throw last
}

const codeOf = (error: unknown): string => (error as { code?: string } | null)?.code ?? messageOf(error)

async function refuseCleartext(reached: Reached, said: Buffer): Promise<void> {
  const http = 'speaks HTTP without TLS here'
  if (isHttp(said)) throw new Error(http)
  // An alert, or a handshake.
  if (said[0] === 21 || said[0] === 22) return
  if (said.length > 0) {
    const text = said
      .subarray(0, 40)
      .toString('latin1')
      .split(/[\r\n]/)[0] as string
    throw new Error(`does not speak TLS here; it says ${JSON.stringify(text)}`)
  }
  const asked = await firstWords(reached, Buffer.from('HEAD / HTTP/1.0\r\n\r\n')).catch(() => said)
  if (isHttp(asked) && !/\b400\b.*\bHTTPS?\b/is.test(asked.toString('latin1'))) throw new Error(http)
}

const isHttp = (said: Buffer): boolean => /^(HTTP\/|<!doctype|<html)/i.test(said.subarray(0, 16).toString('latin1'))

/** What comes back first; empty where nothing does. Rejects where there is no connection. */
function firstWords({ address, port }: Reached, question: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let open = false
    const socket = net.connect({ host: address, port }, () => {
      open = true
      socket.write(question)
    })
    const settle = (said: Buffer) => {
      resolve(said)
      socket.destroy()
    }
    const late = () => (open ? settle(Buffer.alloc(0)) : socket.destroy(new Error('does not answer')))
    socket.setTimeout(answerMs, late)
    socket.once('data', settle)
    socket.on('error', error => (open ? settle(Buffer.alloc(0)) : reject(error)))
    socket.on('close', () => settle(Buffer.alloc(0)))
  })
}
