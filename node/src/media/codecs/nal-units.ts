/**
 * What H.264 and HEVC share: NAL units in samples with length fields (ISO/IEC 14496-15 4.3.3, 5.3.2), emulation prevention,
 * and SEI messages.
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'

const LENGTH_BYTES = 4

/** One supplemental enhancement information message. */
export interface SeiMessage {
  readonly type: number
  /** Without emulation prevention. */
  readonly payload: Uint8Array
}

/**
 * Visits the NAL units of one sample and gives it back with 4-byte lengths: the input itself where it has them already.
 * Undefined when the sample is empty, holds more than `codecLimits.nalUnitsMax` units, or its lengths do not add up.
 */
export function readNalSample(
  data: Uint8Array,
  lengthBytes: number,
  visit: (nal: Uint8Array) => void,
): Uint8Array | undefined {
  let count = 0
  let offset = 0
  while (offset < data.byteLength) {
    const start = offset + lengthBytes
    if (start >= data.byteLength) return undefined
    const length = readLength(data, offset, lengthBytes)
    const end = start + length
    if (length === 0 || end > data.byteLength) return undefined
    count += 1
    if (count > codecLimits.nalUnitsMax) return undefined
    visit(data.subarray(start, end))
    offset = end
  }
  if (count === 0) return undefined
  return lengthBytes === LENGTH_BYTES ? data : widen(data, lengthBytes, count)
}

/** A sample with 4-byte lengths out of NAL units. */
export function joinNals(nals: readonly Uint8Array[]): Uint8Array {
  const bytes = nals.reduce((sum, nal) => sum + LENGTH_BYTES + nal.byteLength, 0)
  const out = new Uint8Array(bytes)
  const view = new DataView(out.buffer)
  let at = 0
  for (const nal of nals) {
    view.setUint32(at, nal.byteLength)
    out.set(nal, at + LENGTH_BYTES)
    at += LENGTH_BYTES + nal.byteLength
  }
  return out
}

/** The RBSP of a NAL unit's payload: its bytes without the 03 of each 00 00 03 (ISO/IEC 14496-10 7.4.1.1). */
export function withoutEmulationPrevention(payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(payload.byteLength)
  let length = 0
  let zeros = 0
  for (const byte of payload) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0
      continue
    }
    out[length] = byte
    length += 1
    zeros = byte === 0 ? zeros + 1 : 0
  }
  return out.subarray(0, length)
}

/**
 * The messages of an SEI NAL unit, given without its NAL header (ISO/IEC 14496-10 7.3.2.3.1): types and sizes are sums of
 * bytes ended by one below 255. What follows a message that claims too many bytes is left out.
 */
export function seiMessages(payload: Uint8Array): readonly SeiMessage[] {
  const rbsp = withoutEmulationPrevention(payload)
  const messages: SeiMessage[] = []
  let offset = 0
  const sum = (): number => {
    let value = 0
    while (rbsp[offset] === 255) {
      value += 255
      offset += 1
    }
    value += rbsp[offset] ?? 0
    offset += 1
    return value
  }
  // The last byte is the RBSP trailing bits.
  while (offset + 2 < rbsp.byteLength && messages.length < codecLimits.seiMessagesMax) {
    const type = sum()
    const size = sum()
    if (offset + size > rbsp.byteLength) break
    messages.push({ type, payload: rbsp.subarray(offset, offset + size) })
    offset += size
  }
  return messages
}

/**
 * Reads `count` parameter sets with 16-bit lengths from `start` of a configuration record; the units and the offset behind them.
 * @throws KairoError `ERR_PROTOCOL` when one is empty or exceeds the record, `ERR_LIMIT` when there are too many.
 */
export function readParameterSets(
  record: Uint8Array,
  start: number,
  count: number,
): { readonly units: readonly Uint8Array[]; readonly end: number } {
  if (count > codecLimits.parameterSetsMax) {
    throw new KairoError('ERR_LIMIT', `a codec configuration holds ${count} parameter sets`)
  }
  const units: Uint8Array[] = []
  let offset = start
  for (let index = 0; index < count; index += 1) {
    const length = ((record[offset] ?? 0) << 8) | (record[offset + 1] ?? 0)
    const end = offset + 2 + length
    if (length === 0 || end > record.byteLength) {
      throw new KairoError('ERR_PROTOCOL', 'a parameter set exceeds its codec configuration')
    }
    units.push(record.subarray(offset + 2, end))
    offset = end
  }
  return { units, end: offset }
}

/** Parameter sets with 16-bit lengths, one after the other, as configuration records hold them. */
export function writeParameterSets(units: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    units.flatMap((unit) => [Uint8Array.of(unit.byteLength >> 8, unit.byteLength & 255), unit]),
  )
}

function readLength(data: Uint8Array, offset: number, bytes: number): number {
  let length = 0
  for (let index = 0; index < bytes; index += 1) {
    length = length * 256 + (data[offset + index] ?? 0)
  }
  return length
}

function widen(data: Uint8Array, nalLengthBytes: number, count: number): Uint8Array {
  const out = new Uint8Array(data.byteLength + count * (LENGTH_BYTES - nalLengthBytes))
  const view = new DataView(out.buffer)
  let from = 0
  let to = 0
  while (from < data.byteLength) {
    const length = readLength(data, from, nalLengthBytes)
    const start = from + nalLengthBytes
    view.setUint32(to, length)
    out.set(data.subarray(start, start + length), to + LENGTH_BYTES)
    from = start + length
    to += LENGTH_BYTES + length
  }
  return out
}
