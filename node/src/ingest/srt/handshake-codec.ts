/**
 * Handshake packets of SRT version 5 between caller and listener (draft-sharabayko-srt-01 sections 3.2.1 and 4.3): the fixed
 * part and its extensions.
 */
import { srtLimits } from '../../limits/srt.ts'

/** Handshake types that matter to a listener. */
export const HANDSHAKE_TYPE = { induction: 1, conclusion: 0xffff_ffff } as const

/** What a listener's induction answer carries where the extension field is, to say that it speaks version 5. */
export const VERSION_5_MAGIC = 0x4a17

/** Extension types (table 5). */
export const EXTENSION = {
  hsRequest: 1,
  hsResponse: 2,
  kmRequest: 3,
  kmResponse: 4,
  streamId: 5,
  congestion: 6,
  filter: 7,
  group: 8,
} as const

/** The kinds of extension that a handshake says it has (table 6). */
export const EXTENSION_FLAG = { handshake: 1, keyMaterial: 2, config: 4 } as const

/** Capabilities of the SRT flags field (table 8). */
export const SRT_FLAG = {
  timedSender: 0x01,
  timedReceiver: 0x02,
  crypt: 0x04,
  tooLateDrop: 0x08,
  periodicNak: 0x10,
  retransmitFlag: 0x20,
  stream: 0x40,
} as const

/** One extension of a handshake. */
export interface Extension {
  readonly type: number
  readonly content: Buffer
}

/** A handshake packet's content. */
export interface Handshake {
  readonly version: number
  /** Key length in 8-byte units, 0 without encryption. */
  readonly encryption: number
  readonly extensionField: number
  readonly initialSequence: number
  readonly mtuBytes: number
  /** Packets that may be on their way unacknowledged. */
  readonly flowWindow: number
  readonly type: number
  readonly socketId: number
  readonly cookie: number
  /** Passed back as it came. */
  readonly peerAddress: Buffer
  readonly extensions: readonly Extension[]
}

/** What one side can do and wants (section 3.2.1.1). */
export interface HandshakeTerms {
  /** `major * 0x10000 + minor * 0x100 + patch`. */
  readonly version: number
  readonly flags: number
  /** Time for repairs that this side needs as a receiver. */
  readonly receiverDelayMs: number
  /** The least time for repairs that this side asks of the other as a sender. */
  readonly senderDelayMs: number
}

/** Bytes of a handshake without extensions. */
const HANDSHAKE_BYTES = 48
const ADDRESS_BYTES = 16
const EXTENSION_HEADER_BYTES = 4

/** Reads a handshake; undefined when it is malformed. */
export function readHandshake(payload: Buffer): Handshake | undefined {
  if (payload.byteLength < HANDSHAKE_BYTES) return undefined
  const version = payload.readUInt32BE(0)
  const extensions = version === 5 ? readExtensions(payload.subarray(HANDSHAKE_BYTES)) : []
  if (extensions === undefined) return undefined
  return {
    version,
    encryption: payload.readUInt16BE(4),
    extensionField: payload.readUInt16BE(6),
    initialSequence: payload.readUInt32BE(8),
    mtuBytes: payload.readUInt32BE(12),
    flowWindow: payload.readUInt32BE(16),
    type: payload.readUInt32BE(20),
    socketId: payload.readUInt32BE(24),
    cookie: payload.readUInt32BE(28),
    peerAddress: payload.subarray(32, 32 + ADDRESS_BYTES),
    extensions,
  }
}

function readExtensions(bytes: Buffer): readonly Extension[] | undefined {
  const extensions: Extension[] = []
  let offset = 0
  while (offset < bytes.byteLength) {
    if (offset + EXTENSION_HEADER_BYTES > bytes.byteLength) return undefined
    if (extensions.length >= srtLimits.extensionsMax) return undefined
    const type = bytes.readUInt16BE(offset)
    const end = offset + EXTENSION_HEADER_BYTES + bytes.readUInt16BE(offset + 2) * 4
    if (end > bytes.byteLength) return undefined
    extensions.push({ type, content: bytes.subarray(offset + EXTENSION_HEADER_BYTES, end) })
    offset = end
  }
  return extensions
}

/** Writes a handshake; the content of extensions is a whole number of 4-byte words. */
export function writeHandshake(handshake: Handshake): Buffer {
  const head = Buffer.alloc(HANDSHAKE_BYTES)
  head.writeUInt32BE(handshake.version, 0)
  head.writeUInt16BE(handshake.encryption, 4)
  head.writeUInt16BE(handshake.extensionField, 6)
  head.writeUInt32BE(handshake.initialSequence, 8)
  head.writeUInt32BE(handshake.mtuBytes, 12)
  head.writeUInt32BE(handshake.flowWindow, 16)
  head.writeUInt32BE(handshake.type, 20)
  head.writeUInt32BE(handshake.socketId, 24)
  head.writeUInt32BE(handshake.cookie, 28)
  head.set(handshake.peerAddress, 32)
  const parts: Buffer[] = [head]
  for (const { type, content } of handshake.extensions) {
    const extensionHead = Buffer.alloc(EXTENSION_HEADER_BYTES)
    extensionHead.writeUInt16BE(type, 0)
    extensionHead.writeUInt16BE(content.byteLength / 4, 2)
    parts.push(extensionHead, content)
  }
  return Buffer.concat(parts)
}

/** Reads the terms of one side; undefined when they are too short. */
export function readTerms(content: Buffer): HandshakeTerms | undefined {
  if (content.byteLength < 12) return undefined
  return {
    version: content.readUInt32BE(0),
    flags: content.readUInt32BE(4),
    receiverDelayMs: content.readUInt16BE(8),
    senderDelayMs: content.readUInt16BE(10),
  }
}

/** The extension that answers a caller's terms. */
export function termsResponse(terms: HandshakeTerms): Extension {
  const content = Buffer.alloc(12)
  content.writeUInt32BE(terms.version, 0)
  content.writeUInt32BE(terms.flags, 4)
  content.writeUInt16BE(terms.receiverDelayMs, 8)
  content.writeUInt16BE(terms.senderDelayMs, 10)
  return { type: EXTENSION.hsResponse, content }
}

/** The text of a stream id or congestion extension: 4-byte words, each with its bytes in reverse (section 3.2.1.3). */
export function readText(content: Buffer): string {
  const bytes = Buffer.from(content).swap32()
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.byteLength : end)
}
