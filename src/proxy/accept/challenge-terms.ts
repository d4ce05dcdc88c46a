/**
 * The certificate that answers a CA's tls-alpn-01 challenge (RFC 8737), and how a client is refused where there is none for its
 * handshake.
 */
import { messageOf, ProxyError } from '../../base/errors.ts'
import type { ChallengeAnswers } from '../../model/challenge.ts'
import type { Site } from '../../model/site.ts'
import type { ServerTls } from '../../model/tls-terms.ts'
import { alerts } from '../../wire/tls-alert.ts'

/** Throws, or rejects with, ProxyError where no such challenge is open. */
export function challengeTerms(challenges: ChallengeAnswers, name: string): Promise<ServerTls> {
  const none = () => new ProxyError('TLS_NO_ALPN', `no ACME challenge is open for ${name}`)
  if (!challenges.any) throw none()
  return challenges.tlsAlpn01(name).then(
    terms => {
      if (terms === null) throw none()
      return terms
    },
    () => {
      throw none()
    },
  )
}

/** How a client is told that there are none, or that those there are cannot be used. `site` is null for a challenge. */
export function termsRefusal(
  cause: unknown,
  site: Site | null,
): { readonly error: ProxyError; readonly alert: number } {
  if (site === null && cause instanceof ProxyError) return { error: cause, alert: alerts.no_application_protocol }
  const why = `no usable certificate for ${site?.name ?? 'an ACME challenge'}: ${messageOf(cause)}`
  return { error: new ProxyError('TLS_NO_CERTIFICATE', why, cause), alert: alerts.internal_error }
}
