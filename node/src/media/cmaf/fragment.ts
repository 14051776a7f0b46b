/**
 * One CMAF chunk: `moof` and `mdat` of one track in one exactly sized buffer (ISO/IEC 14496-12 8.8, 23000-19 7.3.2).
 * The payload is copied here once, and nowhere else between the socket and the store.
 */
import { strict as assert } from 'node:assert'
import { BOX_HEADER_BYTES } from './box.ts'

/** One sample as a fragment describes it. */
export interface FragmentSample {
  /** Ticks of the track's timescale, at least 1. */
  readonly duration: number
  /** Presentation minus decoding time in ticks; negative values are allowed (`trun` version 1). */
  readonly compositionOffset: number
  /** True for a sample from which decoding can start. */
  readonly sync: boolean
  readonly data: Uint8Array
}

/** What a fragment holds. */
export interface Fragment {
  /**
   * `per-sample` writes duration, size, flags and offset of each sample; `uniform` writes sizes only, and durations where they
   * differ (audio).
   */
  readonly layout: 'per-sample' | 'uniform'
  /** `mfhd` sequence number, from 1, growing with every fragment of the track. */
  readonly sequence: number
  readonly trackId: number
  /** Decoding time of the first sample in ticks, from 0 to 2^53. */
  readonly baseDecodeTime: number
  /** At least one. */
  readonly samples: readonly FragmentSample[]
}

/** Sample flags of a picture that others do not come before: depends on no other sample. */
const SYNC_SAMPLE_FLAGS = 0x02000000
/** Sample flags of every other picture: depends on others, is not a sync sample. */
const NON_SYNC_SAMPLE_FLAGS = 0x01010000

const MFHD_BYTES = 16
const TFDT_BYTES = 20
/** `tfhd` with the track id alone, or with default duration and default flags too. */
const TFHD_BYTES = { 'per-sample': 16, uniform: 24 } as const
const TFHD_FLAGS = { 'per-sample': 0x020000, uniform: 0x020028 } as const
const TRUN_BASE_BYTES = 20
const TRUN_SAMPLE_BYTES = { 'per-sample': 16, timed: 8, uniform: 4 } as const
/** Data offset, then per sample: duration, size, flags and composition offset; or duration and size; or size only. */
const TRUN_FLAGS = { 'per-sample': 0x000f01, timed: 0x000301, uniform: 0x000201 } as const

/** What a run of samples writes of each; `timed` is `uniform` with durations that differ. */
type RunLayout = keyof typeof TRUN_FLAGS

/** Encodes a fragment. The buffer is the caller's, outside the shared pool, since parts live long. */
export function encodeFragment(fragment: Fragment): Buffer {
  const { layout, samples } = fragment
  assert(samples.length > 0, 'a fragment holds at least one sample')
  assert(fragment.baseDecodeTime >= 0, 'decoding times do not start before zero')
  const run = runLayout(fragment)
  const moof = moofBytes(layout, run, samples.length)
  let payload = 0
  for (const sample of samples) payload += sample.data.byteLength
  const bytes = Buffer.allocUnsafeSlow(moof + BOX_HEADER_BYTES + payload)

  const trafBytes = moof - BOX_HEADER_BYTES - MFHD_BYTES
  let at = writeHeader(bytes, 0, moof, 'moof')
  at = writeFullHeader(bytes, at, MFHD_BYTES, 'mfhd', 0)
  at = bytes.writeUInt32BE(fragment.sequence >>> 0, at)
  at = writeHeader(bytes, at, trafBytes, 'traf')
  at = writeTrackHeader(bytes, at, fragment)
  at = writeFullHeader(bytes, at, TFDT_BYTES, 'tfdt', 0x01000000)
  at = bytes.writeBigUInt64BE(BigInt(fragment.baseDecodeTime), at)
  at = writeTrackRun(bytes, at, samples, { layout: run, dataOffset: moof + BOX_HEADER_BYTES })
  assert.equal(at, moof)
  at = writeHeader(bytes, at, BOX_HEADER_BYTES + payload, 'mdat')
  for (const sample of samples) {
    bytes.set(sample.data, at)
    at += sample.data.byteLength
  }
  assert.equal(at, bytes.byteLength)
  return bytes
}

function runLayout({ layout, samples }: Fragment): RunLayout {
  if (layout === 'per-sample') return layout
  const duration = samples[0]?.duration
  return samples.every((sample) => sample.duration === duration) ? 'uniform' : 'timed'
}

function moofBytes(layout: Fragment['layout'], run: RunLayout, sampleCount: number): number {
  const trun = TRUN_BASE_BYTES + TRUN_SAMPLE_BYTES[run] * sampleCount
  return BOX_HEADER_BYTES + MFHD_BYTES + BOX_HEADER_BYTES + TFHD_BYTES[layout] + TFDT_BYTES + trun
}

function writeTrackHeader(bytes: Buffer, start: number, fragment: Fragment): number {
  const { layout, samples } = fragment
  let at = writeFullHeader(bytes, start, TFHD_BYTES[layout], 'tfhd', TFHD_FLAGS[layout])
  at = bytes.writeUInt32BE(fragment.trackId, at)
  if (layout === 'uniform') {
    at = bytes.writeUInt32BE(samples[0]?.duration ?? 0, at)
    at = bytes.writeUInt32BE(SYNC_SAMPLE_FLAGS, at)
  }
  return at
}

function writeTrackRun(
  bytes: Buffer,
  start: number,
  samples: readonly FragmentSample[],
  run: { readonly layout: RunLayout; readonly dataOffset: number },
): number {
  const { layout, dataOffset } = run
  const size = TRUN_BASE_BYTES + TRUN_SAMPLE_BYTES[layout] * samples.length
  // Version 1: composition offsets are signed.
  let at = writeFullHeader(bytes, start, size, 'trun', 0x01000000 | TRUN_FLAGS[layout])
  at = bytes.writeUInt32BE(samples.length, at)
  at = bytes.writeInt32BE(dataOffset, at)
  for (const sample of samples) {
    if (layout !== 'uniform') at = bytes.writeUInt32BE(sample.duration, at)
    at = bytes.writeUInt32BE(sample.data.byteLength, at)
    if (layout !== 'per-sample') continue
    at = bytes.writeUInt32BE(sample.sync ? SYNC_SAMPLE_FLAGS : NON_SYNC_SAMPLE_FLAGS, at)
    at = bytes.writeInt32BE(sample.compositionOffset, at)
  }
  return at
}

function writeHeader(bytes: Buffer, start: number, size: number, type: string): number {
  const at = bytes.writeUInt32BE(size, start)
  return at + bytes.write(type, at, 'latin1')
}

function writeFullHeader(
  bytes: Buffer,
  start: number,
  size: number,
  type: string,
  versionAndFlags: number,
): number {
  return bytes.writeUInt32BE(versionAndFlags, writeHeader(bytes, start, size, type))
}
