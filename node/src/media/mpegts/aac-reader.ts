/**
 * AAC with ADTS headers in PES packets: several frames in each, the last of which may end in the next.
 */
import { KairoError } from '../../errors.ts'
import { mpegtsLimits } from '../../limits/mpegts.ts'
import { aacAudioConfig } from '../codecs/aac.ts'
import { ADTS_FRAME_SAMPLES, type AdtsFrame, adtsFrames } from '../codecs/adts.ts'
import type { PesPacket } from './pes-assembler.ts'
import {
  type ProgramClock,
  sameBytes,
  samplesToTicks,
  type TrackReader,
  type TransportHandler,
} from './track-reader.ts'

/** What an audio track is called by. */
export interface AudioTrackInit {
  /** Which of the publisher's audio tracks. */
  readonly track: number
  readonly language: string | undefined
}

/** Reads one AAC track of a program. */
export class AacReader implements TrackReader {
  readonly #handler: TransportHandler
  readonly #clock: ProgramClock
  readonly #init: AudioTrackInit
  /** The beginning of a frame that ends in the next packet; ADTS frames are shorter than 8 KiB. */
  #carry: Buffer = Buffer.alloc(0)
  #config: Uint8Array | undefined
  /** Time of the next frame, as long as the packets say nothing else. */
  #nextDts: number | undefined
  #damagedInRow = 0

  constructor(handler: TransportHandler, clock: ProgramClock, init: AudioTrackInit) {
    this.#handler = handler
    this.#clock = clock
    this.#init = init
  }

  lost(): void {
    this.#carry = Buffer.alloc(0)
    this.#nextDts = undefined
  }

  pes(packet: PesPacket): void {
    const dts = this.#clock.times(packet)?.dts
    const carried = this.#carry.byteLength
    const data = carried === 0 ? packet.data : Buffer.concat([this.#carry, packet.data])
    const { frames, consumed, skipped } = adtsFrames(data)
    this.#carry = Buffer.from(data.subarray(consumed))
    this.#judge(frames.length, skipped, packet.data.byteLength)
    // The packet's time is that of the first frame that begins in it (ISO/IEC 13818-1 2.4.3.7).
    let frameDts = carried > 0 ? this.#nextDts : dts
    let samples = 0
    let timed = carried === 0
    for (const frame of frames) {
      if (!timed && frame !== frames[0]) {
        timed = true
        if (dts !== undefined) {
          frameDts = dts
          samples = 0
        }
      }
      this.#frame(frame, frameDts, samples)
      samples += ADTS_FRAME_SAMPLES
      const base: number | undefined = frameDts
      this.#nextDts =
        base === undefined ? undefined : base + samplesToTicks(samples, frame.sampleRate)
    }
    if (!timed && dts !== undefined) this.#nextDts = frames.length > 0 ? dts : this.#nextDts
  }

  #frame(frame: AdtsFrame, baseDts: number | undefined, samples: number): void {
    if (baseDts === undefined) {
      this.#handler.dropped('untimed')
      return
    }
    if (!sameBytes(frame.config, this.#config)) {
      const { track, language } = this.#init
      this.#handler.configure({
        ...aacAudioConfig(frame.config),
        track,
        ...(language === undefined ? {} : { language }),
      })
      this.#config = frame.config
    }
    const dts = baseDts + samplesToTicks(samples, frame.sampleRate)
    const data = Uint8Array.from(frame.data)
    const { track } = this.#init
    this.#handler.unit({ kind: 'audio', track, dts, pts: dts, keyframe: true, data })
  }

  /** Counts packets without a frame, and refuses a track that has nothing else. */
  #judge(frames: number, skipped: number, bytes: number): void {
    if (skipped > 0) this.#handler.dropped('damaged')
    if (frames > 0) this.#damagedInRow = 0
    else if (bytes > 0) this.#damagedInRow += 1
    if (this.#damagedInRow <= mpegtsLimits.damagedUnitsMax) return
    throw new KairoError(
      'ERR_PROTOCOL',
      'an audio track of the transport stream says that it is AAC and holds no ADTS frames',
    )
  }
}
