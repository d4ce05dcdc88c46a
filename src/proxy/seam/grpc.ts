/**
 * gRPC over HTTP/2 (grpc.io, "gRPC over HTTP2" and "HTTP to gRPC status code mapping"): what the gateway itself has to
 * say to a call comes as a status that its client understands, and a call's own deadline counts here too.
 */
import { ProxyError } from '../../base/errors.ts'

const status = {
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** As clients map them; where they would only say "unknown", what the gateway knows better. */
const byHttpStatus: Readonly<Record<number, number>> = {
  400: status.internal,
  401: status.unauthenticated,
  403: status.permissionDenied,
  404: status.unimplemented,
  408: status.deadlineExceeded,
  413: status.resourceExhausted,
  429: status.unavailable,
  431: status.resourceExhausted,
  502: status.unavailable,
  503: status.unavailable,
  504: status.deadlineExceeded,
}

function grpcStatusOf(httpStatus: number): number {
  return byHttpStatus[httpStatus] ?? (httpStatus >= 500 ? status.internal : status.unavailable)
}

/** The field lines of a call's end. The message names the error's code and the id under which the log has the rest. */
export function grpcStatusLines(error: ProxyError, id: string): string {
  const code = grpcStatusOf(error.row.status === 0 ? 502 : error.row.status)
  return `grpc-status: ${code}\r\ngrpc-message: ${error.code} (request ${id})\r\n`
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 }

/** The shorter of `timeouts.total` and what the call itself allows; milliseconds, 0 for none. */
export function callTimeoutMs(totalMs: number, grpcTimeout: string | null): number {
  const own = grpcTimeoutMs(grpcTimeout)
  return own > 0 && (totalMs === 0 || own < totalMs) ? own : totalMs
}

export function callTimeoutError(totalMs: number, grpcTimeout: string | null): ProxyError {
  const ms = callTimeoutMs(totalMs, grpcTimeout)
  const limit = ms === totalMs ? 'timeouts.total' : 'its grpc-timeout'
  return new ProxyError('TOTAL_TIMEOUT', `the exchange took longer than ${limit} (${ms} ms)`)
}

/** Milliseconds of a grpc-timeout, at least 1; 0 where there is none, or none that can be read. */
function grpcTimeoutMs(text: string | null): number {
  const found = text === null ? null : /^([0-9]{1,8})([HMSmun])$/.exec(text)
  if (found === null) return 0
  return Math.max(1, Math.ceil(Number(found[1]) * (unitMs[found[2] as string] as number)))
}
