/**
 * Records of files that may end anywhere after a crash: length (unsigned varint), bytes, CRC-32 of the bytes. A reader sees at
 * each record whether it was written whole.
 */
import { strict as assert } from 'node:assert'
import { crc32 } from 'node:zlib'
import { encodeUvarint } from '../../protocol/uvarint.ts'

const CRC_BYTES = 4
const LENGTH_BYTES_MAX = 4

/** One record as it lies in a file. */
export function encodeCheckedRecord(body: Uint8Array): Buffer {
  assert(body.byteLength < 2 ** 28, 'a record has a four-byte length at most')
  const crc = Buffer.alloc(CRC_BYTES)
  crc.writeUInt32BE(crc32(body))
  return Buffer.concat([encodeUvarint(body.byteLength), body, crc])
}

/** A record and where the next one begins. */
export interface CheckedRecord {
  readonly body: Buffer
  readonly end: number
}

/** The record at `start`; undefined when there is no whole and undamaged one of at most `bytesMax`. */
export function readCheckedRecord(
  bytes: Buffer,
  start: number,
  bytesMax: number,
): CheckedRecord | undefined {
  let length = 0
  let at = start
  for (;;) {
    const byte = bytes[at]
    if (byte === undefined || at - start >= LENGTH_BYTES_MAX) return undefined
    length |= (byte & 0x7f) << (7 * (at - start))
    at += 1
    if (byte < 0x80) break
  }
  const end = at + length + CRC_BYTES
  if (length > bytesMax || end > bytes.byteLength) return undefined
  const body = bytes.subarray(at, at + length)
  if (bytes.readUInt32BE(at + length) !== crc32(body)) return undefined
  return { body, end }
}
