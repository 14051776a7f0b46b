/**
 * A connection to a remote source, opened with care: only the protocols that its scheme needs and only live containers. Without that,
 * a playlist from a stranger could make FFmpeg read any file of this machine.
 */
import {
  AVDISCARD_ALL,
  AVERROR_EAGAIN,
  AVERROR_EOF,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
} from 'node-av/constants'
import { FFmpegError, FormatContext, Packet, type Stream } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { pullLimits as limits } from '../../../limits/pull.ts'
import type { PullJob } from '../job.ts'
import { within } from './deadline.ts'
import type { RemoteLog } from './remote-log.ts'

/** What each scheme may open, as FFmpeg names protocols. `crypto` decrypts the segments of HLS playlists. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  'rtsp:': 'rtsp,tcp,udp,rtp',
  'rtsps:': 'rtsps,tls,tcp,udp,rtp,srtp',
  'rtmp:': 'rtmp,tcp',
  'rtmps:': 'rtmps,tls,tcp',
  'srt:': 'srt',
  'http:': 'http,https,tls,tcp,crypto',
  'https:': 'https,http,tls,tcp,crypto',
}

/** Demuxers of live sources and of the segments of playlists; none that opens what a text tells it, but HLS. */
const FORMATS = 'rtsp,flv,live_flv,mpegts,hls,mov,matroska,aac,mp3,ogg,h264,hevc'

/** One connection. */
export class RemoteDemuxer {
  readonly #job: PullJob
  readonly #log: RemoteLog
  readonly #context = new FormatContext()
  readonly #packet = new Packet()

  /** @throws KairoError `ERR_INVALID_INPUT` for a scheme that is not pulled from. */
  constructor(job: PullJob, log: RemoteLog) {
    this.#job = job
    this.#log = log
    const protocols = PROTOCOLS[new URL(job.url).protocol]
    if (protocols === undefined) {
      throw new KairoError('ERR_INVALID_INPUT', 'streams are pulled from rtsp, rtmp, srt and http')
    }
    this.#context.allocContext()
    this.#packet.alloc()
    this.#set('protocol_whitelist', protocols)
    this.#set('format_whitelist', FORMATS)
    this.#context.maxStreams = limits.sourceStreamsMax
    this.#context.maxAnalyzeDuration = BigInt(limits.analyzeUsMax)
    this.#context.probesize = BigInt(limits.probeBytesMax)
  }

  /** FFmpeg's name of the container or protocol. */
  get format(): string {
    return this.#context.iformat?.name ?? ''
  }

  /** Connects and learns what there is. @throws KairoError `ERR_NO_PROVIDER`, `ERR_TIMEOUT`. */
  async open(): Promise<void> {
    const { url, openTimeoutMs } = this.#job
    const interrupt = (): void => this.#context.interrupt()
    const opened = this.#context.openInput(withTcp(url))
    const what = 'the source does not answer'
    this.#check(await within(opened, openTimeoutMs, what, interrupt), 'cannot open the source')
    const looked = this.#context.findStreamInfo()
    const silent = 'the source does not say what it sends'
    this.#check(await within(looked, openTimeoutMs, silent, interrupt), 'cannot read the source')
  }

  /**
   * The streams to take: the best picture and the sound that goes with it. Of an HLS master playlist that is one variant, of anything
   * else every track of sound. The others are not even loaded; `leftOut` counts the tracks of sound that are too many.
   */
  select(): {
    readonly video: Stream | undefined
    readonly audio: readonly Stream[]
    readonly leftOut: number
  } {
    const { streams } = this.#context
    const videoIndex = this.#context.findBestStream(AVMEDIA_TYPE_VIDEO)
    const audioIndex = this.#context.findBestStream(AVMEDIA_TYPE_AUDIO, -1, videoIndex)
    const variants = this.format === 'hls'
    const wanted = streams
      .filter(({ codecpar }) => codecpar.codecType === AVMEDIA_TYPE_AUDIO)
      .filter(({ index }) => !variants || index === audioIndex)
      .sort((a, b) => Number(b.index === audioIndex) - Number(a.index === audioIndex))
    const audio = wanted.slice(0, limits.audioTracksMax)
    const video = streams.find(({ index }) => index === videoIndex)
    for (const stream of streams) {
      if (stream.index !== videoIndex && !audio.some(({ index }) => index === stream.index)) {
        stream.discard = AVDISCARD_ALL
      }
    }
    return { video, audio, leftOut: wanted.length - audio.length }
  }

  /** The next packet, good until the next call; undefined at the source's end. @throws KairoError. */
  async next(): Promise<Packet | undefined> {
    for (let errors = 0; ; errors++) {
      this.#packet.unref()
      const { readTimeoutMs } = this.#job
      const read = this.#context.readFrame(this.#packet)
      const result = await within(read, readTimeoutMs, 'the source sends nothing', () =>
        this.#context.interrupt(),
      )
      if (result >= 0) return this.#packet
      if (result === AVERROR_EOF) return undefined
      if (result !== AVERROR_EAGAIN || errors >= limits.readErrorsMax) {
        this.#check(result, 'the source breaks off')
      }
    }
  }

  /** Says goodbye and lets go of everything; only when no call is under way. */
  async close(): Promise<void> {
    this.#packet.free()
    await within(this.#context.closeInput(), this.#job.readTimeoutMs, 'the source does not close')
  }

  #set(name: string, value: string): void {
    FFmpegError.throwIfError(this.#context.setOption(name, value), name)
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

/** RTSP over its own connection: UDP loses packets, and firewalls drop it. FFmpeg takes the choice from the address. */
function withTcp(url: string): string {
  if (!/^rtsps?:/.test(url)) return url
  return `${url}${url.includes('?') ? '&' : '?'}tcp`
}
