/**
 * What the readers of elementary streams share: the clock of their program, and where their frames go.
 */
import { type AccessUnit, TICKS_PER_SECOND, type TrackConfig } from '../access-unit.ts'
import { TimestampUnwrapper } from '../timestamp.ts'
import type { PesDropReason, PesPacket } from './pes-assembler.ts'

/** Why an access unit was not passed on. */
export type TransportDropReason =
  | PesDropReason
  /** It came before its configuration. */
  | 'unconfigured'
  /** Nothing says when it is to be shown. */
  | 'untimed'
  /** Video after a loss, until the next keyframe. */
  | 'keyframe-wait'
  /** Scrambled packets. */
  | 'scrambled'
  /** Bytes that are no transport packets. */
  | 'garbage'
  /** Streams beyond those that Kairo takes: a second picture, sound in another codec. */
  | 'extra-track'

/** Where a demuxer's output goes. Calls come in the order of the stream. */
export interface TransportHandler {
  /** Which kinds of track the program has; again when that changes. */
  tracks(kinds: { readonly video: boolean; readonly audio: boolean }): void
  configure(config: TrackConfig): void
  /** A whole unit; its bytes are the handler's. */
  unit(unit: AccessUnit): void
  dropped(reason: TransportDropReason): void
}

/** Reads one elementary stream. */
export interface TrackReader {
  /** Takes a PES packet; throws KairoError `ERR_UNSUPPORTED_CODEC` and `ERR_PROTOCOL`. */
  pes(packet: PesPacket): void
  /** Some of the stream is missing here. */
  lost(): void
}

/** Times of a PES packet on the program's unwrapped clock. */
export interface PesTimes {
  readonly dts: number
  readonly pts: number
}

const TIMESTAMP_BITS = 33
const MODULUS = 2 ** TIMESTAMP_BITS

/** The clock that all streams of a program share, so that their times stay together over its wraps. */
export class ProgramClock {
  readonly #unwrapper = new TimestampUnwrapper(TIMESTAMP_BITS)

  /** The times of a packet; undefined when it says none. */
  times(packet: PesPacket): PesTimes | undefined {
    if (packet.pts === undefined || packet.dts === undefined) return undefined
    const dts = this.#unwrapper.unwrap(packet.dts)
    const offset = (packet.pts - packet.dts + MODULUS) % MODULUS
    return { dts, pts: dts + (offset >= MODULUS / 2 ? offset - MODULUS : offset) }
  }
}

/** Ticks of `samples` at `sampleRate`, rounded. */
export function samplesToTicks(samples: number, sampleRate: number): number {
  return Math.round((samples * TICKS_PER_SECOND) / sampleRate)
}

/** True when two pieces of configuration are the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0
}
