/** `sallyport certs renew`, `revoke` and `roll-over`: what a running gateway does about certificates that it orders itself. */
import { UsageError } from '../../base/errors.ts'
import { type ReasonName, reasons } from '../../certs/x509/crl-build.ts'
import { durationText } from '../../certs/x509/expiry.ts'
import { askGateway, NoGatewayError } from '../../control/client.ts'
import { CommandError } from '../../control/command.ts'
import * as commands from '../../control/commands/certificates.ts'
import type { Words } from '../argv.ts'
import { gatewayOf } from '../control-verb.ts'
import { print, printError } from '../print.ts'

export async function renew(state: string, given: string | undefined, words: Words): Promise<number> {
  const host = hostOf(given, 'renew')
  return await order(words, `no new certificate for ${host}`, async () => {
    const renewed = await askGateway(state, commands.renew, { host }, gatewayOf(words))
    return [renewed, textOf(renewed)]
  })
}

export async function revoke(state: string, given: string | undefined, words: Words): Promise<number> {
  const host = hostOf(given, 'revoke')
  const reason = words.options.get('reason') ?? 'unspecified'
  if (!isReason(reason)) throw new UsageError(`--reason takes ${Object.keys(reasons).join(', ')}, not '${reason}'`)
  return await order(words, `no new certificate for ${host}`, async () => {
    const renewed = await askGateway(state, commands.revoke, { host, reason }, gatewayOf(words))
    return [renewed, `${textOf(renewed)}the one before is revoked\n`]
  })
}

export async function rollOver(state: string, words: Words): Promise<number> {
  return await order(words, 'no new account key', async () => {
    const directories = await askGateway(state, commands.rollOver, null, gatewayOf(words))
    const lines = directories.map(directory => `the account at ${directory} has a new key\n`)
    return [directories, lines.length === 0 ? 'there is no ACME account\n' : lines.join('')]
  })
}

/** @param ask what came of it, for programs and for people */
async function order(
  words: Words,
  failed: string,
  ask: () => Promise<readonly [output: unknown, text: string]>,
): Promise<number> {
  try {
    const [output, text] = await ask()
    print(words.options.has('json') ? `${JSON.stringify(output, null, 2)}\n` : text)
    return 0
  } catch (error) {
    if (!(error instanceof CommandError) || error instanceof NoGatewayError) throw error
    printError(`${failed}: ${error.message}\n`)
    return 1
  }
}

const textOf = (renewed: readonly commands.Renewed[]): string =>
  renewed
    .map(({ names, notAfter, issuer }) => {
      const left = durationText(notAfter - Date.now())
      return `${names.join(', ')}: a new certificate from ${issuer} is in use, valid for ${left}\n`
    })
    .join('')

const isReason = (text: string): text is ReasonName => Object.hasOwn(reasons, text)

function hostOf(host: string | undefined, verb: string): string {
  if (host === undefined)
    throw new UsageError(`certs ${verb} takes a host: sallyport certs ${verb} shop.example.com`)
  return host.toLowerCase().replace(/\.$/, '')
}
