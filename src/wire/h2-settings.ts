/** SETTINGS (RFC 9113 section 6.5, RFC 8441 section 3, RFC 9218 section 2.1). */
import { h2Error, initialWindow, maxFrameBytes, maxWindow, readUint32, writeUint32 } from './h2-frames.ts'

export const setting = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  enableConnectProtocol: 0x8,
  noRfc7540Priorities: 0x9,
} as const

/** What a peer has told us; the values before it did are those of the RFC. */
export type PeerSettings = {
  headerTableSize: number
  maxConcurrentStreams: number
  initialWindowSize: number
  maxFrameSize: number
  maxHeaderListSize: number
  enableConnectProtocol: boolean
}

export const defaultPeerSettings = (): PeerSettings => ({
  headerTableSize: 4096,
  maxConcurrentStreams: Number.POSITIVE_INFINITY,
  initialWindowSize: initialWindow,
  maxFrameSize: maxFrameBytes,
  maxHeaderListSize: Number.POSITIVE_INFINITY,
  enableConnectProtocol: false,
})

type SettingsProblem = { readonly code: number; readonly why: string }

/** Applies the payload `bytes[from, to)` in its order; a setting that comes twice counts as it came last. */
export function readSettings(
  bytes: Uint8Array,
  from: number,
  to: number,
  into: PeerSettings,
): SettingsProblem | null {
  for (let at = from; at < to; at += 6) {
    const id = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
    const value = readUint32(bytes, at + 2)
    switch (id) {
      case setting.headerTableSize:
        into.headerTableSize = value
        break
      case setting.enablePush:
        if (value > 1) return { code: h2Error.protocol, why: `SETTINGS_ENABLE_PUSH of ${value}` }
        break
      case setting.maxConcurrentStreams:
        into.maxConcurrentStreams = value
        break
      case setting.initialWindowSize:
        if (value > maxWindow) return { code: h2Error.flowControl, why: `SETTINGS_INITIAL_WINDOW_SIZE of ${value}` }
        into.initialWindowSize = value
        break
      case setting.maxFrameSize:
        if (value < 16_384 || value > 0xff_ffff)
          return { code: h2Error.protocol, why: `SETTINGS_MAX_FRAME_SIZE of ${value}` }
        into.maxFrameSize = value
        break
      case setting.maxHeaderListSize:
        into.maxHeaderListSize = value
        break
      case setting.enableConnectProtocol:
        if (value > 1) return { code: h2Error.protocol, why: `SETTINGS_ENABLE_CONNECT_PROTOCOL of ${value}` }
        into.enableConnectProtocol = value === 1
        break
    }
  }
  return null
}

/** The payload of a SETTINGS frame. */
export function settingsPayload(pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const bytes = Buffer.alloc(pairs.length * 6)
  let at = 0
  for (const [id, value] of pairs) {
    bytes[at] = id >>> 8
    bytes[at + 1] = id
    at = writeUint32(bytes, at + 2, value)
  }
  return bytes
}
