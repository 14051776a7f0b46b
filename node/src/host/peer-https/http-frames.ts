/** Frames of requests and answers on a libp2p stream (docs/protocol/peer-http.md). */
import { create } from '@bufbuild/protobuf'
import { KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import { encodeFrameHeader, type Frame, FrameDecoder } from '../../protocol/frame-codec.ts'
import { type PeerHttpFrame, PeerHttpFrameSchema } from '../../protocol/generated/peer-http_pb.js'
import type { PeerStream } from '../transport.ts'
import { checkFields, type PeerFields } from './head.ts'

/** The version that requests carry. */
export const PEER_HTTP_VERSION = 1

/** What a frame is: the one-of of the message. */
export type FrameBody = PeerHttpFrame['body']

/** The header of a frame, to be followed by its payload. */
export function encodeHttpFrame(body: FrameBody, payloadBytes: number): Buffer {
  return encodeFrameHeader(PeerHttpFrameSchema, create(PeerHttpFrameSchema, { payloadBytes, body }))
}

/** Fields as the wire has them. */
export function encodeFields(fields: PeerFields): { name: string; value: string }[] {
  return Object.entries(fields).map(([name, value]) => ({ name, value }))
}

/**
 * Fields off the wire.
 * @throws KairoError `ERR_INVALID_INPUT`, `ERR_LIMIT`.
 */
export function decodeFields(
  fields: readonly { readonly name: string; readonly value: string }[],
): Record<string, string> {
  return checkFields(fields.map(({ name, value }) => [name, value] as const))
}

/**
 * The frames of one direction of a stream, as they come.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`, or what the stream throws when it breaks.
 */
export async function* readHttpFrames(
  stream: PeerStream,
  payloadBytesMax: number,
): AsyncGenerator<Frame<PeerHttpFrame>> {
  const decoder = new FrameDecoder(PeerHttpFrameSchema, (frame) => frame.payloadBytes, {
    headerBytesMax: peerHttpLimits.frameHeaderBytesMax,
    payloadBytesMax,
  })
  for await (const chunk of stream.incoming) yield* decoder.push(chunk)
  if (!decoder.isBetweenFrames) throw new KairoError('ERR_PROTOCOL', 'a stream ended in a frame')
}
