/** Addresses that are listened on: which of them exclude each other, and which only this machine reaches. */
import { isIP } from 'node:net'
import { withPort } from '../base/ip.ts'

type ListenAddress = { readonly address: string; readonly port: number; readonly unix?: boolean }

/** Where it is, for people. */
export const placeText = ({ address, port, unix }: ListenAddress): string =>
  unix ? `unix:${address}` : withPort(address, port)

/** The port that clients connect to. */
export const publicPort = (listen: { readonly port: number; readonly public: number | null }): number =>
  listen.public ?? listen.port

/** @param names of `site.listeners`; none of them: every listener */
export const servedOn = (names: readonly string[], listener: string | null): boolean =>
  names.length === 0 || (listener !== null && names.includes(listener))

/** Whether the second to bind would be refused. */
export function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.unix || b.unix) return a.unix === b.unix && a.address === b.address
  if (a.port !== b.port || a.port === 0) return false
  if (a.address === b.address || a.address === '::' || b.address === '::') return true
  const bothFour = isIP(a.address) === 4 && isIP(b.address) === 4
  return bothFour && (a.address === '0.0.0.0' || b.address === '0.0.0.0')
}

/** @param host an IP address or `localhost` */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
