/**
 * Stream records on the wire: encoded, signed by the stream's key, and read back with every field checked. The signature
 * covers the exact bytes, which are kept and passed on as they came (docs/protocol.md).
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { isKairoError, KairoError } from '../../errors.ts'
import { contentLimits, recordLimits } from '../../limits.ts'
import {
  SignedRecordSchema,
  StreamRecordSchema,
  type StreamRecord as WireRecord,
  type Rendition as WireRendition,
  type FencingToken as WireToken,
} from '../../protocol/generated/records_pb.js'
import {
  type FencingToken,
  LANGUAGE_TAG,
  RENDITION_NAME,
  type RenditionInfo,
  type StreamRecord,
} from '../stream.ts'
import {
  parseStreamId,
  type StreamKey,
  type StreamPublicKey,
  streamPublicKey,
} from '../stream-key.ts'

const RECORD_VERSION = 1
const SIGNATURE_CONTEXT = Buffer.from('kairo record v1\n')
const SIGNATURE_BYTES = 64
const ALIAS = /^[a-z0-9][a-z0-9-]{0,63}$/
const KINDS: ReadonlySet<string> = new Set(['video', 'audio', 'captions'])
/** RFC 6381 values, comma-separated; nothing that could break out of a playlist attribute. */
const CODECS = /^[A-Za-z0-9.,_ +-]*$/
/** A libp2p peer id in base58 (legacy and inlined forms). */
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{32,64}$/
const UINT32_MAX = 0xffff_ffff

/** A signed record as read from the wire, its fields checked and its signature not yet. */
export interface UncheckedRecord {
  readonly record: StreamRecord
  /** The encoded SignedRecord, as it came. */
  readonly bytes: Uint8Array
  /**
   * Checks the signature, the expensive half; skip it for records that are old news anyway.
   * @throws KairoError `ERR_VERIFICATION` when it is not the stream key's.
   */
  verify(): void
}

/**
 * Signs a record.
 * @returns the encoded SignedRecord.
 * @throws KairoError `ERR_INVALID_INPUT` when a field breaks its rule, `ERR_LIMIT` when the record is too large.
 */
export function encodeSignedRecord(key: StreamKey, record: StreamRecord): Uint8Array {
  const title = cleanTitle(record.title)
  try {
    checkRecord({ ...record, title })
  } catch (cause) {
    throw new KairoError('ERR_INVALID_INPUT', (cause as Error).message, { cause })
  }
  const body = toBinary(
    StreamRecordSchema,
    create(StreamRecordSchema, {
      version: RECORD_VERSION,
      publicKey: key.raw,
      alias: record.alias,
      title,
      state: record.state,
      sequence: BigInt(record.sequence),
      renditions: record.renditions.map((rendition) => ({ ...rendition })),
      originPeer: record.originPeer,
      startedAtMs: BigInt(record.startedAtMs),
      expiresAtMs: BigInt(record.expiresAtMs),
      ...(record.token === undefined ? {} : { token: wireToken(record.token) }),
    }),
  )
  const signature = key.sign(signedMessage(body))
  const bytes = toBinary(
    SignedRecordSchema,
    create(SignedRecordSchema, { record: body, signature }),
  )
  limitBytes(bytes)
  return bytes
}

/**
 * Reads a SignedRecord and checks every field but the signature and the time.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_LIMIT` when something in it is too large.
 */
export function decodeSignedRecord(bytes: Uint8Array): UncheckedRecord {
  limitBytes(bytes)
  const { record: body, signature } = decode(() => fromBinary(SignedRecordSchema, bytes))
  const wire = decode(() => fromBinary(StreamRecordSchema, body))
  if (wire.version !== RECORD_VERSION) {
    throw new KairoError('ERR_PROTOCOL', `a record of version ${wire.version} is not known here`)
  }
  const key = decode(() => streamPublicKey(wire.publicKey))
  const record = recordOf(key, wire)
  checkRecord(record)
  return {
    record,
    bytes,
    verify: () => {
      if (signature.byteLength !== SIGNATURE_BYTES || !key.verify(signedMessage(body), signature)) {
        throw new KairoError('ERR_VERIFICATION', `the record of ${key.id} is not signed by its key`)
      }
    },
  }
}

/** Control characters, and those that reorder text around them, become spaces; length in characters is limited. */
export function cleanTitle(title: string): string {
  const clean = title
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
  return [...clean].slice(0, recordLimits.titleLengthMax).join('').trim()
}

/** True for a name a stream may carry: `[a-z0-9][a-z0-9-]{0,63}`, but no stream id, which would name another's key. */
function isAlias(text: string): boolean {
  return ALIAS.test(text) && parseStreamId(text) === undefined
}

function signedMessage(body: Uint8Array): Uint8Array {
  return Buffer.concat([SIGNATURE_CONTEXT, body])
}

function recordOf(key: StreamPublicKey, wire: WireRecord): StreamRecord {
  return {
    id: key.id,
    alias: wire.alias,
    title: cleanTitle(wire.title),
    // Checked with all the rest.
    state: wire.state as StreamRecord['state'],
    sequence: Number(wire.sequence),
    renditions: wire.renditions.map(renditionOf),
    originPeer: wire.originPeer,
    ...(wire.token === undefined ? {} : { token: tokenOf(wire.token) }),
    startedAtMs: Number(wire.startedAtMs),
    expiresAtMs: Number(wire.expiresAtMs),
  }
}

function wireToken({ term, index }: FencingToken) {
  return { term: BigInt(term), index: BigInt(index) }
}

function tokenOf({ term, index }: WireToken): FencingToken {
  return { term: Number(term), index: Number(index) }
}

/** A rendition as others describe it, to be checked by {@link checkRendition}. */
export function renditionOf(wire: WireRendition): RenditionInfo {
  const { name, codecs, bandwidthBps, width, height, frameRate, channels } = wire
  const kind = wire.kind as RenditionInfo['kind']
  const { videoRange, language, label, closedCaptions } = wire
  return {
    ...{ name, kind, codecs, bandwidthBps, width, height, frameRate, channels },
    // Checked with all the rest.
    ...(videoRange === '' ? {} : { videoRange: videoRange as 'PQ' | 'HLG' }),
    ...(language === '' ? {} : { language }),
    ...(label === '' ? {} : { label: cleanTitle(label) }),
    ...(closedCaptions ? { closedCaptions } : {}),
  }
}

function checkRecord(record: StreamRecord): void {
  check(isAlias(record.alias), 'the alias')
  check(record.state === 'live' || record.state === 'ended', 'the state')
  check(PEER_ID.test(record.originPeer), 'the origin peer')
  check(isWholeNumber(record.sequence) && record.sequence > 0, 'the sequence')
  check(isWholeNumber(record.startedAtMs), 'the start')
  check(isWholeNumber(record.expiresAtMs), 'the expiry')
  const { term, index } = record.token ?? { term: 1, index: 1 }
  check(isWholeNumber(term) && isWholeNumber(index) && term > 0 && index > 0, 'the token')
  const lifeMs = record.expiresAtMs - record.sequence
  if (lifeMs > recordLimits.recordTtlMsMax) {
    throw new KairoError('ERR_LIMIT', `a record may live ${recordLimits.recordTtlMsMax} ms at most`)
  }
  if (record.renditions.length > contentLimits.renditionsMax) {
    throw new KairoError('ERR_LIMIT', `more than ${contentLimits.renditionsMax} renditions`)
  }
  for (const rendition of record.renditions) checkRendition(rendition)
  const names = new Set(record.renditions.map((rendition) => rendition.name))
  check(names.size === record.renditions.length, 'the set of rendition names')
}

/**
 * Checks what others say of a rendition.
 * @throws KairoError `ERR_PROTOCOL`.
 */
export function checkRendition(rendition: RenditionInfo): void {
  const { dimensionMax, frameRateMax, channelsMax, codecsLengthMax, labelLengthMax } = recordLimits
  check(RENDITION_NAME.test(rendition.name), 'a rendition name')
  check(KINDS.has(rendition.kind), 'a rendition kind')
  check([undefined, 'PQ', 'HLG'].includes(rendition.videoRange), 'a video range')
  check(rendition.language === undefined || LANGUAGE_TAG.test(rendition.language), 'a language')
  check((rendition.label?.length ?? 0) <= labelLengthMax, 'a label')
  check(rendition.codecs.length <= codecsLengthMax && CODECS.test(rendition.codecs), 'codecs')
  check(isWithin(rendition.bandwidthBps, UINT32_MAX), 'a bandwidth')
  check(isWithin(rendition.width, dimensionMax), 'a width')
  check(isWithin(rendition.height, dimensionMax), 'a height')
  check(isWithin(rendition.channels, channelsMax), 'a number of channels')
  check(rendition.frameRate >= 0 && rendition.frameRate <= frameRateMax, 'a frame rate')
}

function isWithin(value: number, max: number): boolean {
  return isWholeNumber(value) && value <= max
}

function isWholeNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function check(fits: boolean, what: string): void {
  if (!fits) throw new KairoError('ERR_PROTOCOL', `${what} of the record breaks its rule`)
}

function limitBytes(bytes: Uint8Array): void {
  if (bytes.byteLength > contentLimits.recordBytesMax) {
    throw new KairoError('ERR_LIMIT', `a stream record of ${bytes.byteLength} bytes is too large`)
  }
}

function decode<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (isKairoError(cause)) throw cause
    throw new KairoError('ERR_PROTOCOL', 'not a stream record', { cause })
  }
}
