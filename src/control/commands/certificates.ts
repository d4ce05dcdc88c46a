/** What `sallyport certs` asks of a running gateway: certificates and chains, and orders by hand. */
import type { CertificateRow } from '../../certs/files/list.ts'
import { type ReasonName, reasons } from '../../certs/x509/crl-build.ts'
import type { Bundle } from '../../model/certificate.ts'
import { type Command, onlyAnswer } from '../command.ts'
import { fields, nothing, oneOf, text } from '../input.ts'

/** What is shown to clients of one host */
export type Chain = { readonly chainPem: string; readonly source: string }

/** A certificate that has come into force */
export type Renewed = { readonly names: readonly string[]; readonly notAfter: number; readonly issuer: string }

/** An order may wait for DNS and for a CA that is slow. */
const withinMs = 15 * 60_000

const host = text(253)

const renewed = (bundles: readonly Bundle[]): Renewed[] =>
  bundles.map(({ names, notAfter, issuer }) => ({ names, notAfter, issuer }))

export const certificates: Command<null, readonly CertificateRow[], readonly CertificateRow[]> = {
  name: 'certificates',
  role: 'view',
  asks: 'one',
  input: nothing,
  run: ({ gateway }) => gateway.certificates(),
  merge: onlyAnswer,
}

export const chains: Command<{ readonly host: string }, readonly Chain[], readonly Chain[]> = {
  name: 'chains',
  role: 'view',
  asks: 'one',
  input: fields({ host }),
  run: ({ gateway }, { host }) => gateway.bundlesFor(host).map(({ chainPem, source }) => ({ chainPem, source })),
  merge: onlyAnswer,
}

export const renew: Command<{ readonly host: string }, readonly Renewed[], readonly Renewed[]> = {
  name: 'renew',
  role: 'operate',
  asks: 'one',
  withinMs,
  input: fields({ host }),
  run: async ({ gateway }, { host }) => renewed(await gateway.managed.renew(host)),
  merge: onlyAnswer,
}

type Revocation = { readonly host: string; readonly reason: ReasonName }

export const revoke: Command<Revocation, readonly Renewed[], readonly Renewed[]> = {
  name: 'revoke',
  role: 'operate',
  asks: 'one',
  withinMs,
  input: fields({ host, reason: oneOf(...(Object.keys(reasons) as ReasonName[])) }),
  run: async ({ gateway }, { host, reason }) => renewed(await gateway.managed.revoke(host, reasons[reason])),
  merge: onlyAnswer,
}

/** @returns the directories of the accounts that have new keys */
export const rollOver: Command<null, readonly string[], readonly string[]> = {
  name: 'rollOver',
  role: 'operate',
  asks: 'one',
  withinMs,
  input: nothing,
  run: ({ gateway }) => gateway.managed.rollOver(),
  merge: onlyAnswer,
}
