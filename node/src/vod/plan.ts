/**
 * Plans how a file becomes a video: what is copied, what is encoded, where segments begin, and which stretches are encoded side by
 * side. Pure: after a crash the same file and settings give the same plan, and finished stretches are taken over.
 */
import { vodLimits } from '../limits/vod.ts'
import { TICKS_PER_MS, TICKS_PER_SECOND } from '../media/access-unit.ts'
import type { FileAudio, FileFacts, FileVideo } from '../media/child/file/file-facts.ts'
import type { LadderPlan, LadderSource } from '../media/ladder/plan.ts'
import type { AudioRung, VideoRung } from '../media/ladder/rung.ts'

/** A sound rendition. */
export interface SoundPlan {
  readonly name: string
  readonly stream: number
  readonly language: string
  readonly label: string
  /** How it is encoded; undefined copies it. */
  readonly rung: AudioRung | undefined
}

/** A stretch of pictures that one child encodes. Times are 1/90000 s. */
export interface ChunkPlan {
  readonly number: number
  /** First segment, and one past the last. */
  readonly first: number
  readonly last: number
  readonly from: number
  readonly to: number
}

/** Pictures for scrubbing. */
export interface StoryboardPlan {
  readonly intervalMs: number
  readonly count: number
  readonly width: number
  readonly height: number
  readonly columns: number
  readonly rows: number
}

/** Everything that is to be done. */
export interface VodPlan {
  /** The file's pictures become the rendition `source` as they are. */
  readonly copyVideo: boolean
  readonly video: readonly VideoRung[]
  readonly sound: readonly SoundPlan[]
  /** Where segments begin, 1/90000 s. */
  readonly boundaries: readonly number[]
  /** How much later than in the file everything is presented, so that reordered pictures are decoded before. 1/90000 s. */
  readonly lead: number
  /** How many of them have pictures. */
  readonly videoSegments: number
  readonly chunks: readonly ChunkPlan[]
  readonly storyboard: StoryboardPlan | undefined
  /** Why something of the ladder is not made, for logs. */
  readonly dropped: LadderPlan['dropped']
}

/** What the plan depends on beside the file. */
export interface PlanOptions {
  readonly ladder: (source: LadderSource) => LadderPlan
  /** Children that encode side by side. */
  readonly parallel: number
  /** False encodes everything, for a file whose copy turned out not to work. */
  readonly mayCopy: boolean
}

const SEGMENT_TICKS = vodLimits.segmentMs * TICKS_PER_MS
/** A source with rarer keyframes is encoded: its segments would be too long to switch between renditions. */
const KEYFRAME_GAP_TICKS_MAX = vodLimits.keyframeGapMsMax * TICKS_PER_MS
/** Sound with holes, or that begins late, is encoded, which fills them with silence. */
const SOUND_HOLE_TICKS_MAX = TICKS_PER_SECOND / 2
/** A profile that no browser plays as it is: asks the ladder for a rung of the source's own size. */
const NOT_PLAYABLE = 'avc1.ff'
/** Players begin at the first picture: more than this would be a hole at the start. */
const LEAD_TICKS_MAX = TICKS_PER_SECOND / 10
const SPRITE_WIDTH = 160
const SPRITE_SIDE = 10

/** Plans a file. */
export function planVod(facts: FileFacts, options: PlanOptions): VodPlan {
  const { video } = facts
  const copyVideo = options.mayCopy && video !== null && isCopyable(video)
  const main = facts.audio[0]
  const ladder = options.ladder({
    video: video === null ? undefined : ladderVideo(video, copyVideo),
    audio: main === undefined || main.codec === null ? undefined : { ...main, codec: main.codec },
  })
  const cuts = video === null ? [0] : videoBoundaries(video, copyVideo)
  const boundaries = withSound(cuts, video?.to ?? 0, facts.duration)
  // Viewers of a film do not wait for a picture: B-frames save bits.
  const rungs = ladder.video.map((rung) => ({
    ...rung,
    bFramesMax: vodLimits.bFrames,
  }))
  return {
    ...{
      copyVideo,
      video: rungs,
      sound: planSound(facts.audio, ladder, options.mayCopy),
      boundaries,
    },
    lead: leadOf(video, copyVideo, rungs.length > 0),
    videoSegments: video === null ? 0 : cuts.length,
    chunks:
      video === null || rungs.length === 0 ? [] : planChunks(facts, video, cuts, options.parallel),
    storyboard: video === null || facts.jumps ? undefined : planStoryboard(video),
    dropped: ladder.dropped,
  }
}

/** True when the file's pictures can be segments as they are. */
function isCopyable(video: FileVideo): boolean {
  const { codec, rotation, keyframes, from, to, bitrateBps, changes } = video
  if (codec === null || rotation !== 0 || changes || keyframes[0] !== from) return false
  const gap = keyframes.reduce(
    (max, time, index) => Math.max(max, (keyframes[index + 1] ?? to) - time),
    0,
  )
  // A segment lasts its target and a keyframe's distance at most.
  const segmentS = (SEGMENT_TICKS + gap) / TICKS_PER_SECOND
  const isSmall = (bitrateBps / 8) * segmentS * 2 < vodLimits.copySegmentBytesMax
  return gap <= KEYFRAME_GAP_TICKS_MAX && isSmall
}

/** Two B-frames that no other depends on are decoded a picture late; a copied source may do otherwise. */
function leadOf(video: FileVideo | null, copied: boolean, encodes: boolean): number {
  if (video === null) return 0
  const encoded = encodes && video.frameRate > 0 ? Math.ceil(TICKS_PER_SECOND / video.frameRate) : 0
  return Math.min(LEAD_TICKS_MAX, Math.max(encoded, copied ? video.reorder : 0))
}

function ladderVideo(video: FileVideo, copied: boolean): LadderSource['video'] {
  const { codec, codecString, width, height, pixelAspect, rotation, frameRate } = video
  return {
    codec: copied && codec !== null ? codec : 'h264',
    codecString: copied ? codecString : NOT_PLAYABLE,
    width: Math.round(width * pixelAspect),
    height,
    rotated: rotation === 90 || rotation === 270,
    frameRate: frameRate > 0 ? frameRate : undefined,
    bitrateBps: copied ? video.bitrateBps : undefined,
    videoRange: video.videoRange,
  }
}

/** Times about a segment's target apart: keyframes where the source has them, and nothing but those when it is copied. */
function videoBoundaries(video: FileVideo, copied: boolean): readonly number[] {
  const { keyframes, seconds, from, to } = video
  const early = SEGMENT_TICKS * 0.75
  const late = SEGMENT_TICKS * 1.25
  const boundaries = [from]
  let keyframe = 0
  let second = 0
  for (;;) {
    const last = boundaries.at(-1) ?? from
    while ((keyframes[keyframe] ?? Number.POSITIVE_INFINITY) < last + early) keyframe += 1
    while ((seconds[second] ?? Number.POSITIVE_INFINITY) < last + SEGMENT_TICKS) second += 1
    const atKeyframe = keyframes[keyframe]
    const atSecond = seconds[second]
    const isKeyframe = atKeyframe !== undefined && (copied || atKeyframe <= last + late)
    const next = isKeyframe ? atKeyframe : copied ? undefined : atSecond
    if (next === undefined || next >= to) return boundaries
    boundaries.push(next)
  }
}

/** Goes on where sound lasts longer than pictures. */
function withSound(cuts: readonly number[], videoEnd: number, end: number): readonly number[] {
  const boundaries = [...cuts]
  for (;;) {
    const next = Math.max(videoEnd, (boundaries.at(-1) ?? 0) + SEGMENT_TICKS)
    if (next >= end - TICKS_PER_SECOND) return boundaries
    boundaries.push(next)
  }
}

function planSound(
  tracks: readonly FileAudio[],
  ladder: LadderPlan,
  mayCopy: boolean,
): readonly SoundPlan[] {
  const sound = tracks.map((track, index): SoundPlan => {
    const { stream, language, label } = track
    const name = index === 0 ? 'audio' : `audio-${index + 1}`
    return {
      name,
      stream,
      language,
      label,
      rung: mayCopy && isSound(track) ? undefined : rungFor(name, track),
    }
  })
  const main = sound[0]
  // The ladder adds what not every player has, for example AAC beside Opus.
  if (main === undefined || main.rung !== undefined) return sound
  return [...sound, ...ladder.audio.map((rung) => ({ ...main, name: rung.name, rung }))]
}

/** True when a track can be segments as it is. */
function isSound(track: FileAudio): boolean {
  const { codec, from, gapMax } = track
  return codec !== null && from < SOUND_HOLE_TICKS_MAX && gapMax < SOUND_HOLE_TICKS_MAX
}

function rungFor(name: string, track: FileAudio): AudioRung {
  const channels = Math.min(2, Math.max(1, track.channels))
  return {
    ...{ name, codec: 'aac', channels, bitrateBps: vodLimits.soundBps * channels },
    sampleRate: track.sampleRate === 44_100 ? 44_100 : 48_000,
  }
}

/** Stretches between keyframes, long enough to be worth a child and short enough to keep all of them busy to the end. */
function planChunks(
  { jumps }: FileFacts,
  video: FileVideo,
  boundaries: readonly number[],
  parallel: number,
): readonly ChunkPlan[] {
  const { chunkMsMin, chunkMsMax, chunksPerChild } = vodLimits
  const share = (video.to - video.from) / (parallel * chunksPerChild)
  const target = Math.min(chunkMsMax * TICKS_PER_MS, Math.max(chunkMsMin * TICKS_PER_MS, share))
  const keyframes = new Set(video.keyframes)
  const chunks: ChunkPlan[] = []
  let first = 0
  for (let index = 1; index <= boundaries.length; index++) {
    const from = boundaries[first] ?? video.from
    const to = boundaries[index] ?? video.to
    const isEnd = index === boundaries.length
    // A little short is near enough: else chunks of equal share would leave a small rest.
    if (!isEnd && (jumps || to - from < target * 0.95 || !keyframes.has(to))) continue
    chunks.push({ number: chunks.length, first, last: index, from, to })
    first = index
  }
  return chunks
}

function planStoryboard(video: FileVideo): StoryboardPlan {
  const { storyboardIntervalMsMin, storyboardPicturesMax } = vodLimits
  const lengthMs = Math.max(1, Math.ceil(video.to / TICKS_PER_MS))
  const fitting = Math.ceil(lengthMs / storyboardPicturesMax / 1_000) * 1_000
  const intervalMs = Math.max(storyboardIntervalMsMin, fitting)
  const turned = video.rotation === 90 || video.rotation === 270
  const shown = (video.width * video.pixelAspect) / video.height
  const height = Math.round(SPRITE_WIDTH / (turned ? 1 / shown : shown) / 2) * 2
  return {
    ...{ intervalMs, count: Math.ceil(lengthMs / intervalMs), width: SPRITE_WIDTH },
    height: Math.min(SPRITE_WIDTH * 4, Math.max(2, height)),
    ...{ columns: SPRITE_SIDE, rows: SPRITE_SIDE },
  }
}
