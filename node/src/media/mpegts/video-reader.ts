/**
 * H.264 and HEVC in PES packets: pictures with start codes, their parameter sets in band.
 */
import { isKairoError, KairoError } from '../../errors.ts'
import { mpegtsLimits } from '../../limits/mpegts.ts'
import { TICKS_PER_SECOND, type VideoConfig } from '../access-unit.ts'
import { avcConfigFrom, h264FromAnnexB } from '../codecs/h264-annexb.ts'
import { hevcConfigFrom } from '../codecs/hevc.ts'
import { hevcFromAnnexB } from '../codecs/hevc-annexb.ts'
import { writeParameterSets } from '../codecs/nal-units.ts'
import type { PesPacket } from './pes-assembler.ts'
import {
  type PesTimes,
  type ProgramClock,
  sameBytes,
  type TrackReader,
  type TransportHandler,
} from './track-reader.ts'

type Nals = readonly Uint8Array[]

interface Picture {
  readonly data: Uint8Array
  readonly keyframe: boolean
  /** By kind, in the order of the configuration record; undefined when the picture carries none. */
  readonly sets: readonly Nals[] | undefined
}

/** What differs between the codecs. */
interface VideoFormat {
  readonly read: (data: Uint8Array) => Picture
  readonly config: (sets: readonly Nals[]) => VideoConfig
  /** Start code and header of an access unit delimiter, with which every picture begins. */
  readonly delimiter: Buffer
}

const FORMATS: Readonly<Record<'h264' | 'hevc', VideoFormat>> = {
  h264: {
    read: (data) => {
      const { parameterSets: sets, ...picture } = h264FromAnnexB(data)
      return { ...picture, sets: sets && [sets.sps, sets.pps] }
    },
    config: ([sps = [], pps = []]) => avcConfigFrom(sps, pps),
    delimiter: Buffer.of(0, 0, 1, 9),
  },
  hevc: {
    read: (data) => {
      const { parameterSets: sets, ...picture } = hevcFromAnnexB(data)
      return { ...picture, sets: sets && [sets.vps, sets.sps, sets.pps] }
    },
    config: ([vps = [], sps = [], pps = []]) => hevcConfigFrom(vps, sps, pps),
    delimiter: Buffer.of(0, 0, 1, 0x46),
  },
}
/** Frame rate assumed between pictures of one PES packet where nobody says it. */
const FALLBACK_RATE = 30
const KEYFRAME_WAIT_TICKS = (mpegtsLimits.keyframeWaitMs * TICKS_PER_SECOND) / 1_000

/**
 * Reads the video of a program. After a loss it waits for the next keyframe, because the pictures between refer to what is
 * lost; not for longer than `mpegtsLimits.keyframeWaitMs`, for an encoder that refreshes without keyframes.
 */
export class VideoReader implements TrackReader {
  readonly #handler: TransportHandler
  readonly #clock: ProgramClock
  readonly #format: VideoFormat
  /** The parameter sets by kind, as they came last, and the same as one run of bytes. */
  #sets: readonly Nals[] = []
  #setsBytes: Uint8Array | undefined
  #frameRate: number | undefined
  /** Set after a loss: undefined until the next picture says when the wait began. */
  #waiting: { sinceDts: number | undefined } | undefined
  #damagedInRow = 0

  constructor(handler: TransportHandler, clock: ProgramClock, codec: 'h264' | 'hevc') {
    this.#handler = handler
    this.#clock = clock
    this.#format = FORMATS[codec]
  }

  lost(): void {
    this.#waiting ??= { sinceDts: undefined }
  }

  pes(packet: PesPacket): void {
    const times = this.#clock.times(packet)
    if (times === undefined) {
      this.#handler.dropped('untimed')
      return
    }
    // One picture is the rule; more in one packet follow each other at the frame rate.
    const ticks = Math.round(TICKS_PER_SECOND / (this.#frameRate ?? FALLBACK_RATE))
    for (const [index, data] of this.#pictures(packet.data).entries()) {
      const shift = index * ticks
      this.#picture(data, { dts: times.dts + shift, pts: times.pts + shift })
    }
  }

  #pictures(data: Buffer): Buffer[] {
    const { delimiter } = this.#format
    const pictures: Buffer[] = []
    let start = 0
    let next = data.indexOf(delimiter)
    while (next !== -1 && pictures.length < mpegtsLimits.picturesMax - 1) {
      const following = data.indexOf(delimiter, next + delimiter.byteLength)
      if (following === -1) break
      pictures.push(data.subarray(start, following))
      start = following
      next = following
    }
    pictures.push(data.subarray(start))
    return pictures
  }

  #picture(data: Buffer, times: PesTimes): void {
    const picture = this.#read(data)
    if (picture === undefined) {
      this.#damaged()
      return
    }
    this.#damagedInRow = 0
    if (picture.data.byteLength === 0) return
    if (this.#setsBytes === undefined) {
      this.#handler.dropped('unconfigured')
      return
    }
    if (this.#mustWait(picture, times.dts)) {
      this.#handler.dropped('keyframe-wait')
      return
    }
    const { data: bytes, keyframe } = picture
    this.#handler.unit({ kind: 'video', ...times, keyframe, data: bytes })
  }

  /** The picture, after its parameter sets were taken; undefined when it is damaged. */
  #read(data: Buffer): Picture | undefined {
    try {
      const picture = this.#format.read(data)
      if (picture.sets !== undefined) this.#configure(picture.sets)
      return picture
    } catch (error) {
      if (isKairoError(error, 'ERR_PROTOCOL') || isKairoError(error, 'ERR_LIMIT')) return undefined
      throw error
    }
  }

  #configure(fresh: readonly Nals[]): void {
    // A picture may repeat one kind only.
    const sets = fresh.map((nals, kind) => (nals.length > 0 ? nals : (this.#sets[kind] ?? [])))
    const bytes = Buffer.concat(sets.map(writeParameterSets))
    if (sets.some((nals) => nals.length === 0) || sameBytes(bytes, this.#setsBytes)) return
    const config = this.#format.config(sets)
    this.#sets = sets.map((nals) => nals.map((nal) => Uint8Array.from(nal)))
    this.#setsBytes = bytes
    this.#frameRate = config.frameRate
    this.#handler.configure(config)
  }

  #mustWait(picture: Picture, dts: number): boolean {
    const waiting = this.#waiting
    if (waiting === undefined) return false
    waiting.sinceDts ??= dts
    const waitedTicks = Math.abs(dts - waiting.sinceDts)
    if (!picture.keyframe && waitedTicks < KEYFRAME_WAIT_TICKS) return true
    this.#waiting = undefined
    return false
  }

  #damaged(): void {
    this.#damagedInRow += 1
    if (this.#damagedInRow > mpegtsLimits.damagedUnitsMax) {
      throw new KairoError(
        'ERR_PROTOCOL',
        `${this.#damagedInRow} damaged pictures in a row in the transport stream`,
      )
    }
    this.#handler.dropped('damaged')
    this.lost()
  }
}
