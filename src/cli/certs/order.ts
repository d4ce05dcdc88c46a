/** `sallyport certs renew`, `revoke` and `roll-over`: what a running gateway does about certificates that it orders itself. */

import { UsageError } from '../../base/errors.ts'
import { type ReasonName, reasons } from '../../certs/x509/crl-build.ts'
import { durationText } from '../../certs/x509/expiry.ts'
import { askGateway } from '../../control/client.ts'
import type { Renewed } from '../../process/controls.ts'
import { print, printError } from '../print.ts'

/** An order may wait for DNS and for a CA that is slow. */
const withinMs = 15 * 60_000

export async function renew(state: string, host: string | undefined): Promise<number> {
  const name = hostOf(host, 'renew')
  return await orderBy(state, 'renew', name, name)
}

export async function revoke(state: string, host: string | undefined, reason = 'unspecified'): Promise<number> {
  const name = hostOf(host, 'revoke')
  if (!Object.hasOwn(reasons, reason)) {
    throw new UsageError(`--reason takes ${Object.keys(reasons).join(', ')}, not '${reason}'`)
  }
  return await orderBy(state, 'revoke', `${name} ${reasons[reason as ReasonName]}`, name)
}

export async function rollOver(state: string): Promise<number> {
  const [reply] = await askGateway<string[]>(state, 'rollOver', { one: true, withinMs })
  if (reply?.ok === undefined) {
    printError(`no new account key: ${reply?.error ?? 'no answer'}\n`)
    return 1
  }
  for (const directory of reply.ok) print(`the account at ${directory} has a new key\n`)
  if (reply.ok.length === 0) print('there is no ACME account\n')
  return 0
}

async function orderBy(state: string, question: string, of: string, name: string): Promise<number> {
  const [reply] = await askGateway<Renewed[]>(state, question, { one: true, of, withinMs })
  if (reply?.ok === undefined) {
    printError(`no new certificate for ${name}: ${reply?.error ?? 'no answer'}\n`)
    return 1
  }
  for (const { names, notAfter, issuer } of reply.ok) {
    const left = durationText(notAfter - Date.now())
    print(`${names.join(', ')}: a new certificate of ${issuer} is in force, for ${left}\n`)
  }
  if (question === 'revoke') print('the one before is revoked\n')
  return 0
}

function hostOf(host: string | undefined, verb: string): string {
  if (host === undefined)
    throw new UsageError(`certs ${verb} takes a host: sallyport certs ${verb} shop.example.com`)
  return host.toLowerCase().replace(/\.$/, '')
}
