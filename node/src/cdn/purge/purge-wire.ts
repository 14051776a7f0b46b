/**
 * The purge protocol on a stream: request frames, each answered by one frame, in order. Both are read with bounds, and every state in
 * them is checked.
 */
import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf'
import { KairoError } from '../../errors.ts'
import type { PeerStream } from '../../host/transport.ts'
import { purgeLimits } from '../../limits/purge.ts'
import { encodeFrameHeader, FrameDecoder } from '../../protocol/frame-codec.ts'
import {
  type PurgeAnswer,
  PurgeAnswerSchema,
  type PurgeOrigin,
  PurgeOriginSchema,
  type PurgeRequest,
  PurgeRequestSchema,
  type PurgeState,
  PurgeStateSchema,
} from '../../protocol/generated/purge_pb.js'
import type { OriginState } from './purge-ledger.ts'
import { isOrigin, originKey } from './purge-message.ts'

/** Version of the protocol that requests carry. */
const PURGE_VERSION = 1

/** Writes the request of a stream. */
export async function writeRequest(
  stream: PeerStream,
  request: MessageInitShape<typeof PurgeRequestSchema>,
): Promise<void> {
  const message = create(PurgeRequestSchema, { ...request, version: PURGE_VERSION })
  await stream.write(encodeFrameHeader(PurgeRequestSchema, message))
}

/** Writes the answer of a stream. */
export async function writeAnswer(
  stream: PeerStream,
  answer: MessageInitShape<typeof PurgeAnswerSchema>,
): Promise<void> {
  // Never empty, which no frame may be.
  const message = create(PurgeAnswerSchema, { ...answer, version: PURGE_VERSION })
  await stream.write(encodeFrameHeader(PurgeAnswerSchema, message))
}

/** The requests of a stream as they come. @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`, or what the stream throws. */
export async function* readRequests(stream: PeerStream): AsyncGenerator<PurgeRequest> {
  for await (const request of readFrames(stream, PurgeRequestSchema, purgeLimits.requestBytesMax)) {
    if (request.version !== PURGE_VERSION) {
      throw new KairoError('ERR_PROTOCOL', `version ${request.version} is not spoken here`)
    }
    yield request
  }
}

/** The answers of a stream as they come. @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`, or what the stream throws. */
export function readAnswers(stream: PeerStream): AsyncGenerator<PurgeAnswer> {
  return readFrames(stream, PurgeAnswerSchema, purgeLimits.answerBytesMax)
}

/** A state for the wire. */
export function encodeState(origins: readonly OriginState[]): PurgeState {
  return create(PurgeStateSchema, { origins: origins.map(encodeOrigin) })
}

/** One origin for the wire. */
export function encodeOrigin(origin: OriginState): PurgeOrigin {
  const { issuer, epoch, through, beyond, floor, ignored = false } = origin
  return create(PurgeOriginSchema, {
    ...{ issuer, epoch, ignored, through: BigInt(through), floor: BigInt(floor) },
    beyond: beyond.map(BigInt),
  })
}

/**
 * A state off the wire.
 * @throws KairoError `ERR_PROTOCOL` when something breaks its rule, `ERR_LIMIT` when it names too many origins.
 */
export function decodeState(state: PurgeState | undefined): OriginState[] {
  const origins = state?.origins ?? []
  if (origins.length > purgeLimits.originsMax + purgeLimits.ignoredOriginsMax) {
    throw new KairoError('ERR_LIMIT', `a state of ${origins.length} origins is too large`)
  }
  const decoded = origins.map(decodeOrigin)
  check(new Set(decoded.map(originKey)).size === decoded.length)
  return decoded
}

/** One origin off the wire or the disk. @throws KairoError `ERR_PROTOCOL`. */
export function decodeOrigin(wire: PurgeOrigin): OriginState {
  const { issuer, epoch, ignored } = wire
  const through = numberOf(wire.through)
  const floor = numberOf(wire.floor)
  check(isOrigin(issuer, epoch) && floor <= through)
  check(wire.beyond.length <= purgeLimits.beyondMax)
  const beyond = wire.beyond.map(numberOf)
  check(beyond.every((sequence, index) => sequence > (beyond[index - 1] ?? through)))
  return { issuer, epoch, through, beyond, floor, ignored }
}

async function* readFrames<Desc extends DescMessage>(
  stream: PeerStream,
  schema: Desc,
  bytesMax: number,
): AsyncGenerator<MessageShape<Desc>> {
  const limits = { headerBytesMax: bytesMax, payloadBytesMax: 0 }
  const decoder = new FrameDecoder(schema, () => 0, limits)
  for await (const chunk of stream.incoming) {
    for (const { header } of decoder.push(chunk)) yield header
  }
  if (!decoder.isBetweenFrames) {
    throw new KairoError('ERR_PROTOCOL', 'the stream ended within a frame')
  }
}

function numberOf(value: bigint): number {
  const number = Number(value)
  check(Number.isSafeInteger(number))
  return number
}

function check(fits: boolean): void {
  if (!fits) throw new KairoError('ERR_PROTOCOL', 'a state of purges breaks its rule')
}
