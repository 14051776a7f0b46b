/**
 * Checks parts against a written list of rules, independently of the muxer that made them. Give it the parts of one or
 * both renditions of a session in order; it returns every violation, none when all is well.
 *
 * Of each part:
 *   box-structure      a part is one `moof` and one `mdat` and nothing else; each size fits its container
 *   sample-bytes       the samples lie one after the other and fill the `mdat` exactly
 *   nal-lengths        an H.264 or HEVC sample is a row of NAL units whose 4-byte lengths add up
 *   track              the track id is the init segment's
 *   independent        a part declared independent begins with a sync sample, any other does not
 *   sync-inside        no video part has a sync sample after its first
 *   idr-sync           a sync sample holds an IDR picture (HEVC: an IRAP picture), any other sample holds none
 *   declared-duration  the declared duration is the sum of the sample durations, to 2 microseconds
 *   part-target-max    a part is longer than the part target only by its last sample, without which it is below 85 %;
 *                      the first of all is what the target is settled with
 *   part-target-min    none is shorter than 85 % of it, but independent ones, those before an independent one, final ones
 *                      (RFC 8216bis 4.4.4.9)
 * Over the parts of a rendition:
 *   numbering          parts count up from 0, segments by one, a segment ends where `endOfSegment` says
 *   sequence           `mfhd` sequence numbers grow by one
 *   continuity         each `tfdt` is the one before plus its sample durations; over a discontinuity it may only be later
 *   presentation       no two video samples of a stretch are presented at the same time
 *   segment-start      part 0 is independent (unless forced cuts are allowed)
 *   target-duration    no segment's duration, rounded, exceeds EXT-X-TARGETDURATION (RFC 8216bis 4.4.3.1)
 *   date-time          part 0 and only it has PROGRAM-DATE-TIME, which advances as the media do, to 2 ms
 *   discontinuity      only part 0 says discontinuity
 *   init-change        the init segment changes only with a discontinuity
 *   init               the init segment is one track with the brands `iso6` and `cmfc`, no samples and no edit list
 *   codec-config       `avcC` or the `esds` holds the description that the encoder gave (when it is known)
 * Between renditions, of segments that both have whole:
 *   start-alignment    audio starts at or after the video's first presentation, by less than a tolerance
 *   discontinuity-pair both say discontinuity, or neither
 */
import { type BoxView, findBox, readBoxes } from '../../src/media/cmaf/box-reader.ts'
import {
  type FragmentView,
  type InitView,
  isSync,
  readFragment,
  readInit,
} from '../../src/media/cmaf/fragment-reader.ts'

/** A part and what the playlist or the index says of it. */
export interface CheckedPart {
  readonly msn: number
  readonly part: number
  readonly data: Buffer
  readonly durationUs: number
  readonly independent: boolean
  readonly endOfSegment: boolean
  readonly discontinuity: boolean
  readonly programDateTimeMs: number | undefined
  readonly init: Buffer
}

/** A rendition to check. */
export interface CheckedRendition {
  readonly name: string
  readonly parts: readonly CheckedPart[]
  readonly partTargetUs: number
  readonly targetDurationS: number
  /** The codec configuration that init segments must hold, where the test knows it. */
  readonly description?: Uint8Array
}

/** What may differ from one kind of stream to the next. */
export interface CheckOptions {
  /** Segments may begin without a sync sample. Default false. */
  readonly forcedCuts?: boolean
  /** How much later than the video an audio segment may start, in milliseconds. Default: two audio frames. */
  readonly alignmentMs?: number
}

/** One broken rule. */
export interface Violation {
  readonly rule: string
  /** `rendition msn.part`. */
  readonly where: string
  readonly detail: string
}

const PART_SHARE_MIN = 0.85
const MICROSECONDS_OFF_MAX = 2
const WALL_OFF_MS_MAX = 2

interface ReadPart {
  readonly part: CheckedPart
  readonly fragment: FragmentView
  readonly init: InitView
  readonly ticks: number
}

/** Every violation of the rules above. */
export function checkRenditions(
  renditions: readonly CheckedRendition[],
  options: CheckOptions = {},
): readonly Violation[] {
  const violations: Violation[] = []
  const read = renditions.map((rendition) => {
    const report = (part: CheckedPart, rule: string, detail: string): void => {
      violations.push({ rule, where: `${rendition.name} ${part.msn}.${part.part}`, detail })
    }
    const parts = rendition.parts.flatMap((part) => readPart(part, report))
    for (const one of parts) checkPart(one, report)
    checkTargets(rendition, parts, report)
    checkOrder(rendition, parts, options, report)
    checkInits(rendition, report)
    return { name: rendition.name, parts }
  })
  const video = read.find(({ parts }) => parts[0]?.init.handler === 'vide')
  const audio = read.find(({ parts }) => parts[0]?.init.handler === 'soun')
  if (video !== undefined && audio !== undefined) {
    violations.push(...checkPair(video.parts, audio.parts, options))
  }
  return violations
}

type Report = (part: CheckedPart, rule: string, detail: string) => void

function readPart(part: CheckedPart, report: Report): readonly ReadPart[] {
  try {
    const types = readBoxes(part.data).map((box) => box.type)
    if (types.join() !== 'moof,mdat') report(part, 'box-structure', types.join())
    const fragment = readFragment(part.data)
    const ticks = fragment.samples.reduce((sum, sample) => sum + sample.duration, 0)
    return [{ part, fragment, init: readInit(part.init), ticks }]
  } catch (error) {
    report(part, 'box-structure', String(error))
    return []
  }
}

function checkPart({ part, fragment, init, ticks }: ReadPart, report: Report): void {
  const mdat = findBox(part.data, 'mdat')
  let at = mdat.body
  for (const [index, sample] of fragment.samples.entries()) {
    if (sample.offset !== at) report(part, 'sample-bytes', `sample ${index} at ${sample.offset}`)
    at += sample.bytes
    if (sample.duration < 1) report(part, 'sample-bytes', `sample ${index} lasts nothing`)
    if (init.handler !== 'vide') continue
    if (index > 0 && isSync(sample)) report(part, 'sync-inside', `sample ${index}`)
    const starts = hasSyncPicture(
      part.init,
      part.data.subarray(sample.offset, sample.offset + sample.bytes),
    )
    if (starts === undefined) report(part, 'nal-lengths', `sample ${index}`)
    else if (starts !== 'unknown' && starts !== isSync(sample)) {
      report(part, 'idr-sync', `sample ${index}`)
    }
  }
  if (at !== mdat.end) report(part, 'sample-bytes', `${mdat.end - at} bytes left over`)
  if (fragment.trackId !== init.trackId) report(part, 'track', `${fragment.trackId}`)
  const first = fragment.samples[0]
  if (first === undefined) report(part, 'sample-bytes', 'no samples')
  else if (isSync(first) !== part.independent) {
    report(part, 'independent', `${part.independent}`)
  }
  const exactUs = (ticks * 1e6) / init.timescale
  if (Math.abs(exactUs - part.durationUs) > MICROSECONDS_OFF_MAX) {
    report(part, 'declared-duration', `${part.durationUs} for ${exactUs}`)
  }
}

/**
 * Whether a video sample holds a picture to start from: undefined when its NAL lengths do not add up, unknown where the
 * codec has no NAL units.
 */
function hasSyncPicture(init: Buffer, sample: Buffer): boolean | 'unknown' | undefined {
  const hevc = init.includes('hvcC')
  if (!hevc && !init.includes('avcC')) return 'unknown'
  let found = false
  let at = 0
  while (at < sample.byteLength) {
    if (at + 5 > sample.byteLength) return undefined
    const header = sample[at + 4] ?? 0
    const type = hevc ? (header >> 1) & 0x3f : header & 0x1f
    found ||= hevc ? type >= 16 && type <= 21 : type === 5
    at += 4 + sample.readUInt32BE(at)
  }
  return at === sample.byteLength ? found : undefined
}

function checkTargets(
  rendition: CheckedRendition,
  parts: readonly ReadPart[],
  report: Report,
): void {
  const targetUs = rendition.partTargetUs
  let segmentUs = 0
  for (const [index, { part, fragment, init }] of parts.entries()) {
    const lastUs = ((fragment.samples.at(-1)?.duration ?? 0) * 1e6) / init.timescale
    const couldEnd = part.durationUs - lastUs >= targetUs * PART_SHARE_MIN
    if (index > 0 && part.durationUs > targetUs && couldEnd) {
      report(part, 'part-target-max', `${part.durationUs} of ${targetUs}`)
    }
    const next = parts[index + 1]?.part
    const exempt = part.independent || part.endOfSegment || next === undefined || next.independent
    if (!exempt && part.durationUs < targetUs * PART_SHARE_MIN) {
      report(part, 'part-target-min', `${part.durationUs} of ${targetUs}`)
    }
    segmentUs = part.part === 0 ? part.durationUs : segmentUs + part.durationUs
    if (part.endOfSegment && Math.round(segmentUs / 1e6) > rendition.targetDurationS) {
      report(part, 'target-duration', `${segmentUs} of ${rendition.targetDurationS} s`)
    }
  }
}

function checkOrder(
  rendition: CheckedRendition,
  parts: readonly ReadPart[],
  options: CheckOptions,
  report: Report,
): void {
  let opened: ReadPart | undefined
  let presented = new Set<number>()
  for (const [index, current] of parts.entries()) {
    const { part, fragment, init } = current
    const before = parts[index - 1]
    if (before !== undefined) checkStep(before, current, report)
    if (part.discontinuity && part.part !== 0) report(part, 'discontinuity', 'inside a segment')
    if ((part.part === 0) !== (part.programDateTimeMs !== undefined)) {
      report(part, 'date-time', `${part.programDateTimeMs}`)
    }
    if (part.part === 0) {
      if (!part.independent && options.forcedCuts !== true) report(part, 'segment-start', '')
      if (opened !== undefined) checkDateTime(opened, current, report)
      opened = current
    }
    if (part.discontinuity) presented = new Set()
    if (init.handler !== 'vide') continue
    let time = fragment.baseDecodeTime
    for (const sample of fragment.samples) {
      const presentation = time + sample.compositionOffset
      if (presented.has(presentation)) report(part, 'presentation', `${presentation}`)
      presented.add(presentation)
      time += sample.duration
    }
  }
  const first = rendition.parts[0]
  if (first !== undefined && first.part !== 0) report(first, 'numbering', 'begins inside a segment')
}

function checkStep(before: ReadPart, current: ReadPart, report: Report): void {
  const { part, fragment } = current
  const opens = before.part.endOfSegment
  const msn = opens ? before.part.msn + 1 : before.part.msn
  const number = opens ? 0 : before.part.part + 1
  if (part.msn !== msn || part.part !== number) {
    report(part, 'numbering', `follows ${before.part.msn}.${before.part.part}, final: ${opens}`)
  }
  if (fragment.sequence !== before.fragment.sequence + 1) {
    report(part, 'sequence', `${fragment.sequence} after ${before.fragment.sequence}`)
  }
  const seconds = fragment.baseDecodeTime / current.init.timescale
  const end = before.fragment.baseDecodeTime + before.ticks
  if (part.discontinuity) {
    if (seconds < end / before.init.timescale - 1e-3) report(part, 'continuity', 'goes back')
  } else if (fragment.baseDecodeTime !== end) {
    report(part, 'continuity', `${fragment.baseDecodeTime} after ${end}`)
  }
  if (part.init !== before.part.init && !part.init.equals(before.part.init)) {
    if (!part.discontinuity) report(part, 'init-change', 'without a discontinuity')
  }
}

function checkDateTime(opened: ReadPart, current: ReadPart, report: Report): void {
  if (current.part.discontinuity) return
  const wallMs = (current.part.programDateTimeMs ?? 0) - (opened.part.programDateTimeMs ?? 0)
  const mediaMs = (startOf(current) - startOf(opened)) * 1_000
  if (Math.abs(wallMs - mediaMs) > WALL_OFF_MS_MAX) {
    report(current.part, 'date-time', `${wallMs} ms of wall time for ${mediaMs}`)
  }
}

/** First presentation of a part that opens a segment, in seconds. */
function startOf({ fragment, init }: ReadPart): number {
  const offset = fragment.samples[0]?.compositionOffset ?? 0
  return (fragment.baseDecodeTime + offset) / init.timescale
}

function checkInits(rendition: CheckedRendition, report: Report): void {
  const seen = new Set<Buffer>()
  for (const part of rendition.parts) {
    if (seen.has(part.init)) continue
    seen.add(part.init)
    try {
      checkInit(rendition, part, report)
    } catch (error) {
      report(part, 'init', String(error))
    }
  }
}

function checkInit(rendition: CheckedRendition, part: CheckedPart, report: Report): void {
  const { init } = part
  const types = readBoxes(init).map((box) => box.type)
  if (types.join() !== 'ftyp,moov') report(part, 'init', types.join())
  const brands = bytesOf(init, findBox(init, 'ftyp')).toString('latin1')
  if (!brands.includes('iso6') || !brands.includes('cmfc')) report(part, 'init', brands)
  const movie = findBox(init, 'moov')
  const tracks = readBoxes(init, movie.body, movie.end).filter((box) => box.type === 'trak')
  if (tracks.length !== 1) report(part, 'init', `${tracks.length} tracks`)
  const track = findBox(init, 'moov', 'trak')
  if (readBoxes(init, track.body, track.end).some((box) => box.type === 'edts')) {
    report(part, 'init', 'edit list')
  }
  findBox(init, 'moov', 'mvex', 'trex')
  const times = findBox(init, 'moov', 'trak', 'mdia', 'minf', 'stbl', 'stts')
  if (init.readUInt32BE(times.body + 4) !== 0) report(part, 'init', 'samples in the init segment')
  const { description } = rendition
  const entry = findBox(init, 'moov', 'trak', 'mdia', 'minf', 'stbl', 'stsd')
  if (description !== undefined && !bytesOf(init, entry).includes(Buffer.from(description))) {
    report(part, 'codec-config', 'not in the sample entry')
  }
}

function bytesOf(bytes: Buffer, box: BoxView): Buffer {
  return bytes.subarray(box.body, box.end)
}

function checkPair(
  video: readonly ReadPart[],
  audio: readonly ReadPart[],
  options: CheckOptions,
): readonly Violation[] {
  const violations: Violation[] = []
  const opening = new Map(audio.filter(({ part }) => part.part === 0).map((p) => [p.part.msn, p]))
  for (const one of video) {
    const other = opening.get(one.part.msn)
    if (one.part.part !== 0 || other === undefined) continue
    const where = `segment ${one.part.msn}`
    const frameMs = ((other.fragment.samples[0]?.duration ?? 0) * 1_000) / other.init.timescale
    const laterMs = (startOf(other) - startOf(one)) * 1_000
    const toleranceMs = options.alignmentMs ?? 2 * frameMs
    if (laterMs < -1 || laterMs > toleranceMs) {
      violations.push({ rule: 'start-alignment', where, detail: `${laterMs} ms` })
    }
    if (other.part.discontinuity !== one.part.discontinuity) {
      violations.push({ rule: 'discontinuity-pair', where, detail: `${one.part.discontinuity}` })
    }
  }
  return violations
}
