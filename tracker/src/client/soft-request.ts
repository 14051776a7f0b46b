/** What stands before a message of the soft state on the call lane: which region and which shard it is for. docs/protocol/soft-state.md. */
import { ByteReader } from '../bytes/byte-reader.ts'
import { ByteWriter } from '../bytes/byte-writer.ts'
import { shardCount } from '../region/shard-of.ts'

/** Bytes before the message. */
const HEAD_BYTES = 9

/** A message to the leader of a shard. */
export interface SoftRequest {
  /** The region's number, see `regionNumber`. */
  readonly region: number
  readonly shard: number
  readonly message: Uint8Array
}

/** The request as bytes. */
export function encodeSoftRequest({ region, shard, message }: SoftRequest): Uint8Array {
  return new ByteWriter(HEAD_BYTES + message.length).integer(region).u8(shard).raw(message).lend(0)
}

/**
 * The reverse; the message is a part of the same memory.
 * @throws TrackerError ERR_MALFORMED
 */
export function decodeSoftRequest(bytes: Uint8Array): SoftRequest {
  const reader = new ByteReader(bytes)
  const region = reader.integer()
  const shard = reader.u8()
  if (shard === 0 || shard > shardCount) reader.fail('there is no such shard')
  return { region, shard, message: reader.raw(reader.left) }
}
