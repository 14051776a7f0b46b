/**
 * Looks into a file: its tracks, and by reading every packet of it, how long each really is and where its keyframes are. What
 * headers say is often missing or wrong, and reading takes a moment only, since nothing is decoded.
 */
import {
  AV_DISPOSITION_ATTACHED_PIC,
  AV_DISPOSITION_DEFAULT,
  AV_PKT_DATA_NEW_EXTRADATA,
} from 'node-av/constants'
import { avGetCodecName, type Packet, type Stream } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { mediaFileLimits } from '../../../limits/vod.ts'
import { TICKS_PER_SECOND, type TrackConfig } from '../../access-unit.ts'
import { videoRangeOf } from '../../codecs/video-signal.ts'
import { languageTag } from '../../language-tag.ts'
import { codecOf } from '../av/codecs.ts'
import { PacketReader } from '../av/packet-reader.ts'
import { ticksOf } from '../av/packets.ts'
import type { JobContext } from '../context.ts'
import type { FileAudio, FileFacts, FileSubtitles, FileVideo } from '../file/file-facts.ts'
import { dtsOf, FileInput, kindOf, ptsOf } from '../file/file-input.ts'
import { rotationOf } from '../file/rotation.ts'
import type { Json, ProbeJob } from '../job.ts'

/** Sound that begins this much before the pictures is an encoder's lead-in and not content, 1/90000 s. */
const LEAD_IN_TICKS = 9_000
/** Codecs of subtitles that are text. */
const TEXT_CODECS = new Set(['mov_text', 'subrip', 'webvtt', 'ass', 'ssa', 'text'])

/** What is gathered about a stream while the file is read. */
interface Gathered {
  readonly stream: Stream
  readonly reader: PacketReader | undefined
  config: TrackConfig | undefined
  /** A later keyframe is configured in another way than the first. */
  changes: boolean
  packets: number
  bytes: number
  from: number
  to: number
  lastEnd: number
  gapMax: number
  /** Presentation minus decoding time of the first keyframe, and the most by which others are nearer. */
  delay: number | undefined
  reorder: number
  readonly keyframes: number[]
  /** First presentation in each second of the file's own time. */
  readonly seconds: Map<number, number>
}

/** Runs the job; its result is {@link FileFacts}. */
export async function run(context: JobContext, job: ProbeJob): Promise<Json> {
  const input = FileInput.open(job.path)
  try {
    const video = mainVideo(input.streams)
    const audio = audioStreams(input.streams)
    const wanted = [...(video === undefined ? [] : [video]), ...audio]
    if (wanted.length === 0)
      throw new KairoError('ERR_MEDIA', 'the file has no pictures and no sound')
    input.select(wanted.map(({ index }) => index))
    const gathered = new Map(wanted.map((stream) => [stream.index, gather(stream)]))
    for (let packet = input.next(); packet !== undefined; packet = input.next()) {
      const one = gathered.get(packet.streamIndex)
      if (one === undefined) continue
      note(one, packet)
      context.counters.unitsIn += 1
      context.counters.position = Math.max(context.counters.position, one.to)
      if (context.counters.unitsIn % 512 === 0) await context.turn()
    }
    return facts(input, video, audio, gathered) as unknown as Json
  } finally {
    input.close()
  }
}

/** The first video stream that is no cover picture. */
function mainVideo(streams: readonly Stream[]): Stream | undefined {
  const videos = streams.filter(
    (stream) => kindOf(stream) === 'video' && !isSet(stream, AV_DISPOSITION_ATTACHED_PIC),
  )
  return videos.find((stream) => isSet(stream, AV_DISPOSITION_DEFAULT)) ?? videos[0]
}

/** The sound tracks, the main one first. */
function audioStreams(streams: readonly Stream[]): readonly Stream[] {
  const found = streams.filter(
    (stream) => kindOf(stream) === 'audio' && stream.codecpar.sampleRate > 0,
  )
  const first = found.find((stream) => isSet(stream, AV_DISPOSITION_DEFAULT)) ?? found[0]
  const row = first === undefined ? [] : [first, ...found.filter((one) => one !== first)]
  return row.slice(0, mediaFileLimits.audioTracksMax)
}

function isSet(stream: Stream, flag: number): boolean {
  return (stream.disposition & flag) !== 0
}

function gather(stream: Stream): Gathered {
  return {
    ...{
      stream,
      reader: readerFor(stream),
      config: undefined,
      changes: false,
      packets: 0,
      bytes: 0,
    },
    ...{ from: Number.POSITIVE_INFINITY, to: Number.NEGATIVE_INFINITY, gapMax: 0 },
    ...{ delay: undefined, reorder: 0 },
    ...{ lastEnd: Number.NaN, keyframes: [], seconds: new Map() },
  }
}

/** Reads the track as it would be packaged; undefined for a codec that is not. */
function readerFor(stream: Stream): PacketReader | undefined {
  const codec = codecOf(stream.codecpar.codecId)
  if (codec === undefined) return undefined
  const { timeBase } = stream
  try {
    return new PacketReader({ codec, extradata: stream.codecpar.extradata, timeBase })
  } catch {
    // A configuration that cannot be packaged; it may be decoded all the same.
    return undefined
  }
}

function note(one: Gathered, packet: Packet): void {
  const { stream, reader } = one
  const pts = ptsOf(packet, stream)
  if (pts === undefined || packet.size === 0) return
  const { num, den } = stream.timeBase
  const end = pts + Math.round((Number(packet.duration) * num * TICKS_PER_SECOND) / den)
  one.packets += 1
  one.bytes += packet.size
  one.from = Math.min(one.from, pts)
  one.to = Math.max(one.to, end, pts + 1)
  if (kindOf(stream) === 'audio') {
    if (pts > one.lastEnd) one.gapMax = Math.max(one.gapMax, pts - one.lastEnd)
    one.lastEnd = end
    // The first packets tell the configuration.
    if (one.config === undefined) one.config = reader?.read(packet)?.config
    return
  }
  const second = Math.floor(pts / TICKS_PER_SECOND)
  one.seconds.set(second, Math.min(one.seconds.get(second) ?? Number.POSITIVE_INFINITY, pts))
  if (packet.isKeyframe) noteKeyframe(one, packet, pts)
  const dts = ticksOf(packet.dts, stream.timeBase)
  if (dts === undefined) return
  const delay = pts - dts
  if (packet.isKeyframe) one.delay ??= delay
  one.reorder = Math.max(one.reorder, (one.delay ?? delay) - delay)
}

function noteKeyframe(one: Gathered, packet: Packet, pts: number): void {
  const { reader, keyframes } = one
  const read = reader?.read(packet)
  one.changes ||= isReconfigured(one, packet, read?.config)
  one.config = read?.config ?? one.config
  // Containers call pictures keyframes that no decoder can start from.
  if (reader !== undefined && read?.unit.keyframe !== true) return
  const dts = dtsOf(packet, one.stream) ?? pts
  if (keyframes.length > 0 && pts <= (keyframes.at(-1) ?? 0)) return
  if (keyframes.length < mediaFileLimits.keyframesMax && dts <= pts) keyframes.push(pts)
}

/** True when another configuration begins with this keyframe, in its bitstream or beside it, as containers with headers have it. */
function isReconfigured(
  { config, stream }: Gathered,
  packet: Packet,
  told: TrackConfig | undefined,
): boolean {
  if (told !== undefined && config !== undefined) return true
  const beside = packet.getSideData(AV_PKT_DATA_NEW_EXTRADATA)
  const { extradata } = stream.codecpar
  return beside !== null && extradata !== null && Buffer.compare(beside, extradata) !== 0
}

function facts(
  input: FileInput,
  video: Stream | undefined,
  audio: readonly Stream[],
  gathered: ReadonlyMap<number, Gathered>,
): FileFacts {
  const pictures = video === undefined ? undefined : gathered.get(video.index)
  const sounds = audio.flatMap((stream) => gathered.get(stream.index) ?? [])
  const heard = sounds.filter(({ packets }) => packets > 0)
  const seen = pictures !== undefined && pictures.packets > 0 ? pictures : undefined
  if (seen === undefined && heard.length === 0) {
    throw new KairoError('ERR_MEDIA', 'the file is cut off before its first picture or sound')
  }
  const origin = originOf(seen, heard)
  const to = Math.max(...[seen, ...heard].map((one) => one?.to ?? 0))
  const duration = to - origin
  if (duration / TICKS_PER_SECOND > mediaFileLimits.durationSMax) {
    throw new KairoError(
      'ERR_MEDIA',
      `the file claims to last ${Math.round(duration / TICKS_PER_SECOND / 3_600)} hours`,
    )
  }
  return {
    ...{ format: input.format, origin, duration, jumps: input.jumps > 0 },
    video: seen === undefined ? null : videoFacts(seen, origin),
    audio: heard.map((one) => audioFacts(one, origin)),
    subtitles: subtitleFacts(input.streams),
  }
}

/** Where time starts: at the first picture, or at sound that is clearly before it. */
function originOf(pictures: Gathered | undefined, sounds: readonly Gathered[]): number {
  const sound = Math.min(...sounds.map(({ from }) => from))
  if (pictures === undefined) return sound
  return sound < pictures.from - LEAD_IN_TICKS ? sound : pictures.from
}

function videoFacts(one: Gathered, origin: number): FileVideo {
  const { stream, config, packets, bytes, keyframes, seconds, reorder } = one
  const { codecpar } = stream
  const pictures = config?.kind === 'video' ? config : undefined
  const { num, den } = stream.sampleAspectRatio
  const width = pictures?.width ?? codecpar.width
  const height = pictures?.height ?? codecpar.height
  expectSize(width, height)
  const lengthS = (one.to - one.from) / TICKS_PER_SECOND
  return {
    stream: stream.index,
    codecName: avGetCodecName(codecpar.codecId) ?? 'unknown',
    codec: pictures?.codec ?? null,
    codecString: pictures?.codecString ?? '',
    ...{ width, height, pixelAspect: num > 0 && den > 0 ? num / den : 1 },
    rotation: rotationOf(stream),
    frameRate: frameRateOf(stream, packets, lengthS),
    videoRange: videoRangeOf(Number(pictures?.colour?.transfer ?? codecpar.colorTrc)),
    bitrateBps: Math.round((bytes * 8) / Math.max(0.001, lengthS)),
    ...{ pictures: packets, changes: one.changes, reorder },
    ...{ from: one.from - origin, to: one.to - origin },
    keyframes: keyframes.map((pts) => pts - origin),
    seconds: [...seconds.values()].sort((a, b) => a - b).map((pts) => pts - origin),
  }
}

/** @throws KairoError `ERR_MEDIA` for pictures that nobody can show. */
function expectSize(width: number, height: number): void {
  if (!(width > 0 && height > 0)) {
    throw new KairoError(
      'ERR_MEDIA',
      'the size of its pictures is not known: their parameter sets are missing or damaged',
    )
  }
  const { pictureSideMax, picturePixelsMax, pictureAspectMax } = mediaFileLimits
  const long = Math.max(width, height)
  const fits = long <= pictureSideMax && width * height <= picturePixelsMax
  if (fits && long / Math.min(width, height) <= pictureAspectMax) return
  throw new KairoError(
    'ERR_MEDIA',
    `pictures of ${width} x ${height} pixels are larger or narrower than Kairo takes`,
  )
}

/** The declared rate where it fits what was counted, else what was counted. */
function frameRateOf(stream: Stream, pictures: number, lengthS: number): number {
  if (pictures < 2) return 0
  const counted = pictures / Math.max(0.001, lengthS)
  const { num, den } = stream.avgFrameRate
  const declared = den > 0 ? num / den : 0
  return Math.abs(declared - counted) <= counted * 0.02 ? declared : Math.round(counted * 100) / 100
}

function audioFacts(one: Gathered, origin: number): FileAudio {
  const { stream, config, bytes } = one
  const { codecpar } = stream
  const sound = config?.kind === 'audio' ? config : undefined
  const lengthS = (one.to - one.from) / TICKS_PER_SECOND
  return {
    stream: stream.index,
    codecName: avGetCodecName(codecpar.codecId) ?? 'unknown',
    codec: sound?.codec ?? null,
    codecString: sound?.codecString ?? '',
    channels: sound?.channels ?? codecpar.channels,
    sampleRate: sound?.sampleRate ?? codecpar.sampleRate,
    ...tagsOf(stream),
    bitrateBps: Math.round((bytes * 8) / Math.max(0.001, lengthS)),
    ...{ from: one.from - origin, to: one.to - origin, gapMax: one.gapMax },
  }
}

function subtitleFacts(streams: readonly Stream[]): readonly FileSubtitles[] {
  return streams
    .filter((stream) => kindOf(stream) === 'subtitle')
    .map((stream) => ({
      stream: stream.index,
      codecName: avGetCodecName(stream.codecpar.codecId) ?? 'unknown',
      ...tagsOf(stream),
    }))
    .filter(({ codecName }) => TEXT_CODECS.has(codecName))
    .slice(0, mediaFileLimits.subtitlesMax)
}

/** Language and title as the container has them; nothing that is no language tag. */
function tagsOf(stream: Stream): { readonly language: string; readonly label: string } {
  const tags = stream.metadata?.getAll() ?? {}
  return { language: languageTag(tags.language) ?? '', label: (tags.title ?? '').slice(0, 64) }
}
