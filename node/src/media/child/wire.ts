/**
 * What the peer and a media child say to each other over their pipe, as bytes. Media, results and errors take the same
 * way, so their order holds. A frame is `u32 length, u8 type, body`, the length counting type and body, big-endian:
 *
 * - type 1, a message: JSON, one of {@link ChildMessage}; byte fields as base64.
 * - type 2, a unit: `u8 port, u8 flags (1 keyframe, 2 audio), u8 track, f64 dts, f64 pts, data`.
 * - type 3, a blob: `u32 length of about, about as JSON, bytes`.
 */
import assert from 'node:assert/strict'
import { z } from 'zod'
import { type ErrorCode, errorStatus, KairoError } from '../../errors.ts'
import { parseJson } from '../../json.ts'
import { mediaChildLimits as limits } from '../../limits/media-child.ts'
import type { AccessUnit, TrackConfig } from '../access-unit.ts'
import type { Json, MediaJob } from './job.ts'

const TYPE_MESSAGE = 1
const TYPE_UNIT = 2
const TYPE_BLOB = 3
const LENGTH_BYTES = 4
const UNIT_HEADER_BYTES = 19
const FLAG_KEYFRAME = 1
const FLAG_AUDIO = 2

const json: z.ZodType<Json> = z.json()
const port = z
  .int()
  .min(0)
  .max(limits.portsMax - 1)
const track = z.int().min(0).max(255)
const count = z.number().min(0)
const bytes = z.base64().transform((text): Uint8Array => Buffer.from(text, 'base64'))
const code = z.int().min(0).max(255)

const colourSchema = z.strictObject({
  primaries: code,
  transfer: code,
  matrix: code,
  fullRange: z.boolean(),
  masteringDisplay: bytes.exactOptional(),
  contentLight: bytes.exactOptional(),
})

const videoConfigSchema = z.strictObject({
  kind: z.literal('video'),
  track: track.exactOptional(),
  codec: z.enum(['h264', 'hevc', 'av1', 'vp9']),
  codecString: z.string().max(64),
  width: z.int().min(1).max(65_535),
  height: z.int().min(1).max(65_535),
  frameRate: z.number().positive().optional(),
  description: bytes,
  colour: colourSchema.exactOptional(),
})

const audioConfigSchema = z.strictObject({
  kind: z.literal('audio'),
  track: track.exactOptional(),
  language: z.string().max(64).exactOptional(),
  label: z.string().max(64).exactOptional(),
  codec: z.enum(['aac', 'opus', 'flac']),
  codecString: z.string().max(64),
  sampleRate: z.int().min(1).max(1_000_000),
  channels: z.int().min(1).max(255),
  samplesPerFrame: z.int().min(1).max(65_536),
  description: bytes,
})

const configSchema = z
  .discriminatedUnion('kind', [videoConfigSchema, audioConfigSchema])
  .transform(
    (config): TrackConfig =>
      config.kind === 'video' ? { ...config, frameRate: config.frameRate } : config,
  )

const progressSchema = z.strictObject({
  unitsIn: count,
  unitsOut: count,
  position: z.number(),
  cpuS: count,
  rssBytes: count,
  damaged: count,
})

const messageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready'), rssBytes: count }),
  // The peer writes jobs itself; only their type is looked at before the job's module gets them.
  z.strictObject({
    type: z.literal('job'),
    job: z.looseObject({ type: z.string() }).transform((job) => job as unknown as MediaJob),
  }),
  z.strictObject({ type: z.literal('config'), port, config: configSchema }),
  z.strictObject({ type: z.literal('finish') }),
  z.strictObject({ type: z.literal('note'), note: json }),
  z.strictObject({ type: z.literal('progress'), progress: progressSchema }),
  z.strictObject({ type: z.literal('done'), result: json }),
  z.strictObject({
    type: z.literal('failed'),
    code: z
      .string()
      .transform(
        (name): ErrorCode =>
          Object.hasOwn(errorStatus, name) ? (name as ErrorCode) : 'ERR_WORKER',
      ),
    message: z.string().transform((text) => text.slice(0, limits.reasonCharsMax)),
  }),
])

/**
 * A message without media in it. To the child: `job` once, then `config` and `finish`. From the child: `ready` once, then
 * `config`, `note`, `progress`, and `done` or `failed` as the last one.
 */
export type ChildMessage = z.output<typeof messageSchema>

/** Anything that travels over the pipe. */
export type WireItem =
  | ChildMessage
  | { readonly type: 'unit'; readonly port: number; readonly unit: AccessUnit }
  | { readonly type: 'blob'; readonly about: Json; readonly bytes: Buffer }

/** The bytes of a message. Throws an AssertionError when it exceeds its limit. */
export function encodeMessage(message: ChildMessage): Buffer {
  const text = JSON.stringify(message, bytesAsBase64)
  const length = Buffer.byteLength(text)
  assert(length <= limits.jsonBytesMax, 'a message of the pipe is within its limit')
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + 1 + length)
  writeHead(frame, TYPE_MESSAGE, length)
  frame.write(text, LENGTH_BYTES + 1)
  return frame
}

/** A Buffer has made itself an object of numbers before a replacer sees it; what holds it still has the bytes. */
function bytesAsBase64(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const original = this[key]
  if (!(original instanceof Uint8Array)) return value
  return Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString('base64')
}

/** The head of a unit's frame; the unit's data follow it as they are, uncopied. */
export function encodeUnitHead(port: number, unit: AccessUnit): Buffer {
  assert(Number.isInteger(port) && port >= 0 && port < limits.portsMax)
  assert(Number.isFinite(unit.dts) && Number.isFinite(unit.pts))
  const head = Buffer.allocUnsafe(LENGTH_BYTES + 1 + UNIT_HEADER_BYTES)
  writeHead(head, TYPE_UNIT, UNIT_HEADER_BYTES + unit.data.byteLength)
  const at = LENGTH_BYTES + 1
  head[at] = port
  head[at + 1] = (unit.keyframe ? FLAG_KEYFRAME : 0) | (unit.kind === 'audio' ? FLAG_AUDIO : 0)
  head[at + 2] = unit.track ?? 0
  head.writeDoubleBE(unit.dts, at + 3)
  head.writeDoubleBE(unit.pts, at + 11)
  return head
}

/** The head of a blob's frame; the bytes follow it as they are. */
export function encodeBlobHead(about: Json, byteLength: number): Buffer {
  const text = JSON.stringify(about)
  const length = Buffer.byteLength(text)
  assert(length <= limits.jsonBytesMax, 'what is said about a blob is within its limit')
  const head = Buffer.allocUnsafe(LENGTH_BYTES + 1 + LENGTH_BYTES + length)
  writeHead(head, TYPE_BLOB, LENGTH_BYTES + length + byteLength)
  head.writeUInt32BE(length, LENGTH_BYTES + 1)
  head.write(text, LENGTH_BYTES + 1 + LENGTH_BYTES)
  return head
}

function writeHead(frame: Buffer, type: number, bodyBytes: number): void {
  assert(bodyBytes + 1 <= limits.frameBytesMax, 'a frame of the pipe is within its limit')
  frame.writeUInt32BE(bodyBytes + 1, 0)
  frame[LENGTH_BYTES] = type
}

/** Takes the pipe's bytes in pieces of any size and gives back what they say. */
export class WireReader {
  readonly #length = Buffer.alloc(LENGTH_BYTES)
  #lengthFilled = 0
  /** The frame in work, without its length; undefined between two frames. */
  #frame: Buffer | undefined
  #filled = 0

  #takeLength(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.#length, this.#lengthFilled, at)
    this.#lengthFilled += taken
    return taken
  }

  /**
   * The items that end within `chunk`. Their bytes may lie in `chunk`, which must not be changed afterwards.
   * @throws KairoError `ERR_PROTOCOL` for anything that no child or peer says; the pipe is of no more use then.
   */
  *push(chunk: Buffer): Generator<WireItem, void, undefined> {
    let at = 0
    while (at < chunk.byteLength) {
      if (this.#frame === undefined) {
        at += this.#takeLength(chunk, at)
        if (this.#lengthFilled < LENGTH_BYTES) return
        this.#lengthFilled = 0
        const bytes = frameBytes(this.#length)
        if (chunk.byteLength - at >= bytes) {
          yield decode(chunk.subarray(at, at + bytes))
          at += bytes
        } else {
          this.#frame = Buffer.allocUnsafe(bytes)
          this.#filled = 0
        }
      } else {
        const frame = this.#frame
        const copied = chunk.copy(frame, this.#filled, at)
        this.#filled += copied
        at += copied
        if (this.#filled < frame.byteLength) return
        this.#frame = undefined
        yield decode(frame)
      }
    }
  }
}

function frameBytes(length: Buffer): number {
  const bytes = length.readUInt32BE(0)
  if (bytes === 0 || bytes > limits.frameBytesMax) throw broken(`a frame of ${bytes} bytes`)
  return bytes
}

function decode(frame: Buffer): WireItem {
  const body = frame.subarray(1)
  switch (frame[0]) {
    case TYPE_MESSAGE:
      return decodeMessage(body)
    case TYPE_UNIT:
      return decodeUnit(body)
    case TYPE_BLOB:
      return decodeBlob(body)
    default:
      throw broken(`a frame of type ${frame[0]}`)
  }
}

function decodeMessage(body: Buffer): ChildMessage {
  if (body.byteLength > limits.jsonBytesMax) throw broken('a message that is too long')
  const parsed = messageSchema.safeParse(parseJson(body.toString()))
  if (!parsed.success) throw broken('a message of no known shape')
  return parsed.data
}

function decodeUnit(body: Buffer): WireItem {
  if (body.byteLength < UNIT_HEADER_BYTES) throw broken('a unit without a whole head')
  const port = body.readUInt8(0)
  const flags = body.readUInt8(1)
  const track = body.readUInt8(2)
  const dts = body.readDoubleBE(3)
  const pts = body.readDoubleBE(11)
  if (port >= limits.portsMax || !Number.isFinite(dts) || !Number.isFinite(pts)) {
    throw broken('a unit with an impossible head')
  }
  const unit: AccessUnit = {
    kind: (flags & FLAG_AUDIO) === 0 ? 'video' : 'audio',
    ...(track !== 0 && { track }),
    dts,
    pts,
    keyframe: (flags & FLAG_KEYFRAME) !== 0,
    data: body.subarray(UNIT_HEADER_BYTES),
  }
  return { type: 'unit', port, unit }
}

function decodeBlob(body: Buffer): WireItem {
  const length = body.byteLength < LENGTH_BYTES ? Number.NaN : body.readUInt32BE(0)
  const end = LENGTH_BYTES + length
  if (!(length <= limits.jsonBytesMax && end <= body.byteLength)) {
    throw broken('a blob without a whole head')
  }
  const about = json.safeParse(parseJson(body.toString('utf8', LENGTH_BYTES, end)))
  if (!about.success) throw broken('a blob about nothing')
  return { type: 'blob', about: about.data, bytes: body.subarray(end) }
}

function broken(what: string): KairoError {
  return new KairoError('ERR_PROTOCOL', `the pipe of a media child brought ${what}`)
}
