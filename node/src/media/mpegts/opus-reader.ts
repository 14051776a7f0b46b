/**
 * Opus in PES packets (ETSI TS 103 491 annex, "Opus in MPEG-TS"): each packet behind a control header with its size.
 */
import { KairoError } from '../../errors.ts'
import { mpegtsLimits } from '../../limits/mpegts.ts'
import { opusAudioConfig } from '../codecs/opus.ts'
import type { AudioTrackInit } from './aac-reader.ts'
import type { PesPacket } from './pes-assembler.ts'
import {
  type ProgramClock,
  samplesToTicks,
  type TrackReader,
  type TransportHandler,
} from './track-reader.ts'

/** What the descriptor says of an Opus track. */
export interface OpusTrackInit extends AudioTrackInit {
  /** 1 to 8: that many channels in the order of Vorbis. */
  readonly channelConfiguration: number
}

const SAMPLE_RATE = 48_000
const HEADER_PREFIX = 0x7fe0
const HEADER_PREFIX_MASK = 0xffe0
const FLAG_START_TRIM = 0x10
const FLAG_END_TRIM = 0x08
const FLAG_EXTENSION = 0x04
const SIZE_CONTINUES = 255
/** Streams, and of them coupled ones, by the number of channels (RFC 7845 5.1.1.2). */
const STREAMS = [
  [1, 0],
  [1, 1],
  [2, 1],
  [2, 2],
  [3, 2],
  [4, 2],
  [4, 3],
  [5, 3],
] as const
const MAPPINGS = [
  [0],
  [0, 1],
  [0, 2, 1],
  [0, 1, 2, 3],
  [0, 4, 1, 2, 3],
  [0, 4, 1, 2, 3, 5],
  [0, 4, 1, 2, 3, 5, 6],
  [0, 6, 1, 2, 3, 4, 5, 7],
] as const

/** Reads one Opus track of a program. */
export class OpusReader implements TrackReader {
  readonly #handler: TransportHandler
  readonly #clock: ProgramClock
  readonly #init: OpusTrackInit
  #configured = false
  #damagedInRow = 0

  constructor(handler: TransportHandler, clock: ProgramClock, init: OpusTrackInit) {
    this.#handler = handler
    this.#clock = clock
    this.#init = init
  }

  lost(): void {
    // Every packet is whole or dropped, and says its own time.
  }

  pes(packet: PesPacket): void {
    const times = this.#clock.times(packet)
    if (times === undefined) {
      this.#handler.dropped('untimed')
      return
    }
    const frames = readOpusUnits(packet.data)
    if (frames === undefined) {
      this.#damaged()
      return
    }
    this.#damagedInRow = 0
    this.#configure()
    const { track } = this.#init
    let samples = 0
    for (const frame of frames) {
      const dts = times.dts + samplesToTicks(samples, SAMPLE_RATE)
      const data = Uint8Array.from(frame)
      this.#handler.unit({ kind: 'audio', track, dts, pts: dts, keyframe: true, data })
      samples += opusSamples(frame)
    }
  }

  #configure(): void {
    if (this.#configured) return
    this.#configured = true
    const { track, language, channelConfiguration } = this.#init
    this.#handler.configure({
      ...opusAudioConfig(identificationHeader(channelConfiguration)),
      track,
      ...(language === undefined ? {} : { language }),
    })
  }

  #damaged(): void {
    this.#damagedInRow += 1
    if (this.#damagedInRow > mpegtsLimits.damagedUnitsMax) {
      throw new KairoError(
        'ERR_PROTOCOL',
        'an audio track of the transport stream says that it is Opus and holds no Opus packets',
      )
    }
    this.#handler.dropped('damaged')
  }
}

/** The Opus packets of a PES packet; undefined when it is malformed or empty. */
function readOpusUnits(data: Buffer): readonly Buffer[] | undefined {
  const units: Buffer[] = []
  let offset = 0
  while (offset < data.byteLength) {
    if (offset + 3 > data.byteLength) return undefined
    const head = data.readUInt16BE(offset)
    if ((head & HEADER_PREFIX_MASK) !== HEADER_PREFIX) return undefined
    offset += 2
    let size = 0
    let byte = SIZE_CONTINUES
    while (byte === SIZE_CONTINUES) {
      byte = data[offset] ?? 0
      size += byte
      offset += 1
    }
    if ((head & FLAG_START_TRIM) !== 0) offset += 2
    if ((head & FLAG_END_TRIM) !== 0) offset += 2
    if ((head & FLAG_EXTENSION) !== 0) offset += 1 + (data[offset] ?? 0)
    if (size === 0 || offset + size > data.byteLength) return undefined
    units.push(data.subarray(offset, offset + size))
    offset += size
  }
  return units.length > 0 ? units : undefined
}

/** Samples at 48 kHz of one packet, by its first bytes (RFC 6716 3.1 and 3.2). */
function opusSamples(packet: Uint8Array): number {
  const toc = packet[0] ?? 0
  const config = toc >> 3
  const frames = [1, 2, 2, (packet[1] ?? 0) & 63][toc & 3] ?? 1
  return frames * frameSamples(config)
}

function frameSamples(config: number): number {
  // SILK: 10, 20, 40, 60 ms; hybrid: 10, 20 ms; CELT: 2.5, 5, 10, 20 ms.
  if (config < 12) return [480, 960, 1_920, 2_880][config & 3] ?? 0
  if (config < 16) return [480, 960][config & 1] ?? 0
  return [120, 240, 480, 960][config & 3] ?? 0
}

/** The header (RFC 7845 5.1) that a channel configuration stands for. */
function identificationHeader(channelConfiguration: number): Buffer {
  const [streams, coupled] = STREAMS[channelConfiguration - 1] ?? []
  const mapping = MAPPINGS[channelConfiguration - 1]
  if (mapping === undefined || streams === undefined || coupled === undefined) {
    throw new KairoError(
      'ERR_UNSUPPORTED_CODEC',
      `Opus in channel configuration ${channelConfiguration} is not supported; send mono, stereo or up to 7.1 surround`,
    )
  }
  const head = Buffer.alloc(19)
  head.write('OpusHead', 0, 'latin1')
  head[8] = 1
  head[9] = mapping.length
  head.writeUInt32LE(SAMPLE_RATE, 12)
  head[18] = mapping.length > 2 ? 1 : 0
  if (mapping.length <= 2) return head
  return Buffer.concat([head, Uint8Array.of(streams, coupled, ...mapping)])
}
