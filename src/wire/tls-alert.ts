/**
 * TLS alerts as plaintext records, for connections refused before a TLS stack has seen them (RFC 8446 section 6).
 * Sending one costs seven bytes and spares the client's operator a packet capture.
 */

/** The alerts that a server may send, by the names of RFC 8446 section 6, RFC 7301 and RFC 7507. */
export const alerts = {
  close_notify: 0,
  unexpected_message: 10,
  record_overflow: 22,
  handshake_failure: 40,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unrecognized_name: 112,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const

export type AlertName = keyof typeof alerts

const namesByNumber: ReadonlyMap<number, string> = new Map(Object.entries(alerts).map(([name, n]) => [n, name]))

/** `decode_error` for 50; `alert 200` for a number that has no name here. */
export const alertName = (description: number): string => namesByNumber.get(description) ?? `alert ${description}`

/**
 * A whole unencrypted alert record. Everything is fatal but the two closure alerts (section 6.1). The record says
 * TLS 1.2, as section 5.1 wants of every record after the first; a client that has not negotiated yet ignores it.
 */
export function alertRecord(description: number): Buffer {
  const warning = description === alerts.close_notify || description === alerts.user_canceled
  return Buffer.from([21, 3, 3, 0, 2, warning ? 1 : 2, description & 0xff])
}

/** What was wrong with a client's bytes, and the alert to answer. `why` holds no bytes of the client's: safe to log. */
export type Malformed = { readonly kind: 'malformed'; readonly alert: number; readonly why: string }

export const malformed = (name: AlertName, why: string): Malformed => ({
  kind: 'malformed',
  alert: alerts[name],
  why,
})
