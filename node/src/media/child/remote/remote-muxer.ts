/**
 * A connection to a remote target and the container that is written into it: FLV over RTMP, an MPEG transport stream over SRT.
 * FFmpeg's asynchronous calls are used, so that a target which takes nothing holds up one thread and not the child.
 */
import { FFmpegError, FormatContext, Packet, type Stream } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import type { AccessUnit, TrackConfig } from '../../access-unit.ts'
import { unitTimeBase } from '../av/decoder.ts'
import { fillPacket } from '../av/packets.ts'
import { parametersOf } from '../av/parameters.ts'
import type { PushJob } from '../job.ts'
import { within } from './deadline.ts'
import type { RemoteLog } from './remote-log.ts'

interface Track {
  readonly stream: Stream
  /** Decoding time of the newest unit written, 1/90000 s. */
  lastDts: number
}

/** One connection; used up when anything fails. */
export class RemoteMuxer {
  readonly #job: PushJob
  readonly #log: RemoteLog
  readonly #context = new FormatContext()
  readonly #packet = new Packet()
  readonly #tracks = new Map<'video' | 'audio', Track>()
  #origin: number | undefined
  /** Bytes of units that the target has taken. */
  bytes = 0

  constructor(job: PushJob, log: RemoteLog) {
    this.#job = job
    this.#log = log
    const format = job.url.startsWith('srt:') ? 'mpegts' : 'flv'
    FFmpegError.throwIfError(
      this.#context.allocOutputContext2(null, format, job.url),
      'make a container',
    )
    this.#packet.alloc()
    // Each unit goes out when it is written, and times are ours: they begin at zero and are not to be moved.
    this.#set('flush_packets', '1')
    this.#set('avoid_negative_ts', 'disabled')
    // A live target cannot be gone back into to fill in how long it was.
    if (format === 'flv') this.#set('flvflags', 'no_duration_filesize')
  }

  /** Connects and is allowed to publish. @throws KairoError `ERR_NO_PROVIDER`, `ERR_TIMEOUT`. */
  async connect(): Promise<void> {
    const { openTimeoutMs } = this.#job
    const what = 'the target does not take the connection'
    this.#check(await within(this.#context.openOutput(), openTimeoutMs, what), 'cannot connect')
  }

  /** Adds a track; before {@link begin}. */
  add(config: TrackConfig): void {
    const stream = this.#context.newStream()
    const parameters = parametersOf(config)
    stream.codecpar = parameters
    parameters.free()
    stream.timeBase = unitTimeBase
    this.#tracks.set(config.kind, { stream, lastDts: Number.NEGATIVE_INFINITY })
  }

  /** Writes what players must know first. */
  async begin(): Promise<void> {
    this.#check(await this.#inTime(this.#context.writeHeader()), 'the target refuses the stream')
  }

  /** Writes a unit; one that is not after the one before, or lies before the first of all, is left out. */
  async write(unit: AccessUnit): Promise<void> {
    const track = this.#tracks.get(unit.kind)
    if (track === undefined) return
    this.#origin ??= unit.dts
    const dts = unit.dts - this.#origin
    if (dts < 0 || dts <= track.lastDts) return
    track.lastDts = dts
    const packet = this.#packet
    fillPacket(packet, { ...unit, dts, pts: unit.pts - this.#origin })
    packet.streamIndex = track.stream.index
    packet.rescaleTs(unitTimeBase, track.stream.timeBase)
    const result = await this.#inTime(this.#context.writeFrame(packet))
    packet.unref()
    this.#check(result, 'the target is gone')
    this.bytes += unit.data.byteLength
  }

  /** Says goodbye. */
  async finish(): Promise<void> {
    this.#check(await this.#inTime(this.#context.writeTrailer()), 'the target is gone')
    await this.#inTime(this.#context.closeOutput())
  }

  /** Lets go of everything; only when no call is under way. */
  free(): void {
    this.#packet.free()
    this.#context.freeContext()
  }

  #set(name: string, value: string): void {
    FFmpegError.throwIfError(this.#context.setOption(name, value), name)
  }

  #inTime<Value>(work: Promise<Value>): Promise<Value> {
    return within(work, this.#job.writeTimeoutMs, 'the target takes nothing')
  }

  #check(result: number, what: string): void {
    if (result >= 0) return
    const why = FFmpegError.fromCode(result)?.message ?? `error ${result}`
    const said = this.#log.text
    throw new KairoError(
      'ERR_NO_PROVIDER',
      said === '' ? `${what}: ${why}` : `${what}: ${why} (${said})`,
    )
  }
}
