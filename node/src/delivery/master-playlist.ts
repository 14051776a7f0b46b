/**
 * Multivariant ("master") playlists (RFC 8216bis 4.4.6), rendered from what renditions say of themselves alone: every peer
 * gives the same bytes. Video and sound are separate renditions. Sound is grouped by codec, since a player takes one codec and
 * then chooses among languages; each picture is a variant once for each group.
 */
import type { RenditionInfo } from '../content/stream.ts'

const PROTOCOL_VERSION = 6
const SUBTITLES_GROUP = 'subs'
const CAPTIONS_GROUP = 'cc'
/**
 * Players begin with the variant that stands first, before they have measured anything. This much nearly every network takes,
 * and nearly every screen is content with the picture for its first seconds.
 */
const FIRST_VARIANT_BPS_MAX = 3_500_000

/** What only finished presentations know. */
export interface MasterPlaylistOptions {
  /** Mean bits a second by the name of the rendition. */
  readonly averageBps?: ReadonlyMap<string, number>
  /** Lines that follow the variants. */
  readonly more?: readonly string[]
}

/** Renditions of sound that stand for each other: one codec, several languages. */
interface AudioGroup {
  readonly id: string
  readonly members: readonly RenditionInfo[]
}

/** The playlist's text for these renditions. */
export function renderMasterPlaylist(
  renditions: readonly RenditionInfo[],
  options: MasterPlaylistOptions = {},
): string {
  const videos = inOrderOfChoice(renditions.filter((each) => each.kind === 'video'))
  const audios = renditions.filter((each) => each.kind === 'audio')
  const captions = renditions.filter((each) => each.kind === 'captions')
  const groups = videos.length > 0 ? audioGroups(audios) : []
  const lines = ['#EXTM3U', `#EXT-X-VERSION:${PROTOCOL_VERSION}`, '#EXT-X-INDEPENDENT-SEGMENTS']
  for (const group of groups) lines.push(...mediaTags('AUDIO', group.id, group.members, 'Audio'))
  lines.push(...mediaTags('SUBTITLES', SUBTITLES_GROUP, captions, 'Captions'))
  const closedCaptions = videos.some((video) => video.closedCaptions === true)
  if (closedCaptions) {
    lines.push(
      `#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="${CAPTIONS_GROUP}",NAME="CC1",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="CC1"`,
    )
  }
  const shared = {
    hdr: videos.some((video) => video.videoRange !== undefined),
    closedCaptions,
    subtitles: captions.length > 0,
    averageBps: options.averageBps,
  }
  for (const group of groups.length > 0 ? groups : [undefined]) {
    for (const video of videos) lines.push(variantTag(video, group, shared), uriOf(video))
  }
  // Sound alone, for those who listen only or whose network takes no picture.
  const [first] = videos.length > 0 ? (groups[0]?.members ?? []) : []
  if (first !== undefined) lines.push(variantTag(first, groups[0], shared), uriOf(first))
  if (videos.length === 0) {
    for (const audio of audios) lines.push(variantTag(audio, undefined, shared), uriOf(audio))
  }
  lines.push(...(options.more ?? []), '')
  return lines.join('\n')
}

/**
 * The picture to begin with, then the others from the best down: codecs that every browser plays come before those that only
 * some do, and dynamic ranges that every screen shows before HDR.
 */
function inOrderOfChoice(videos: readonly RenditionInfo[]): readonly RenditionInfo[] {
  const common = (video: RenditionInfo): boolean =>
    video.codecs.startsWith('avc1') && video.videoRange === undefined
  const sorted = videos.toSorted(
    (a, b) => Number(common(b)) - Number(common(a)) || b.bandwidthBps - a.bandwidthBps,
  )
  const candidates = sorted.filter(common)
  const first =
    candidates.find((video) => video.bandwidthBps <= FIRST_VARIANT_BPS_MAX) ??
    candidates.at(-1) ??
    sorted[0]
  return first === undefined ? [] : [first, ...sorted.filter((video) => video !== first)]
}

/** Groups in the order in which their codec first appears, but AAC, which every player knows, before all. */
function audioGroups(audios: readonly RenditionInfo[]): readonly AudioGroup[] {
  const byId = new Map<string, RenditionInfo[]>()
  for (const audio of audios) {
    const id = audioGroupOf(audio)
    byId.set(id, [...(byId.get(id) ?? []), audio])
  }
  return [...byId]
    .map(([id, members]) => ({ id, members }))
    .toSorted((a, b) => Number(b.id === AAC_GROUP) - Number(a.id === AAC_GROUP))
}

const AAC_GROUP = 'audio'

/** Where a rendition of sound belongs by its codec: `audio`, `audio-opus`, `audio-flac`. */
function audioGroupOf({ codecs }: RenditionInfo): string {
  if (codecs.startsWith('mp4a')) return AAC_GROUP
  const family = codecs.toLowerCase().replace(/[^a-z0-9].*$/, '')
  return `${AAC_GROUP}-${family}`
}

/** One EXT-X-MEDIA for each member, with names that are unique in the group and the same in every group. */
function mediaTags(
  type: 'AUDIO' | 'SUBTITLES',
  groupId: string,
  members: readonly RenditionInfo[],
  fallbackName: string,
): string[] {
  const names = mediaNames(members, fallbackName)
  const languages = new Set<string>()
  return members.map((member, index) => {
    const isDefault = type === 'AUDIO' && index === 0
    // Members that a player may choose by itself must differ in language (RFC 8216bis 4.4.6.1).
    const language = member.language ?? ''
    const auto = isDefault || !languages.has(language)
    languages.add(language)
    return `#EXT-X-MEDIA:${[
      `TYPE=${type}`,
      `GROUP-ID="${groupId}"`,
      `NAME="${names[index]}"`,
      ...(member.language === undefined ? [] : [`LANGUAGE="${quotable(member.language)}"`]),
      `DEFAULT=${isDefault ? 'YES' : 'NO'}`,
      `AUTOSELECT=${auto ? 'YES' : 'NO'}`,
      ...(type === 'AUDIO' && member.channels > 0 ? [`CHANNELS="${member.channels}"`] : []),
      `URI="${uriOf(member)}"`,
    ].join(',')}`
  })
}

/** A name for people for each rendition: its label, else its language, else a number; none twice. */
export function mediaNames(
  members: readonly RenditionInfo[],
  fallbackName: string,
): readonly string[] {
  const taken = new Set<string>()
  return members.map(({ label, language }, index) => {
    const plain = index === 0 ? fallbackName : `${fallbackName} ${index + 1}`
    const wanted = quotable(label ?? languageName(language) ?? plain).trim() || plain
    let name = wanted
    for (let count = 2; taken.has(name); count += 1) name = `${wanted} ${count}`
    taken.add(name)
    return name
  })
}

function languageName(language: string | undefined): string | undefined {
  if (language === undefined || language === 'und') return undefined
  try {
    return new Intl.DisplayNames('en', { type: 'language' }).of(language)
  } catch {
    // Not a language tag after all; it is still the best name there is.
    return language
  }
}

function variantTag(
  variant: RenditionInfo,
  group: AudioGroup | undefined,
  shared: {
    readonly hdr: boolean
    readonly closedCaptions: boolean
    readonly subtitles: boolean
    readonly averageBps: ReadonlyMap<string, number> | undefined
  },
): string {
  const members = group?.members ?? []
  const sound = members.filter((member) => member !== variant)
  const audioBps = sound.reduce((most, audio) => Math.max(most, audio.bandwidthBps), 0)
  const averageBps = averageOf(variant, sound, shared.averageBps)
  const codecs = new Set([variant, ...members].flatMap((each) => each.codecs.split(',')))
  const sized = variant.width > 0 && variant.height > 0
  const isVideo = variant.kind === 'video'
  return `#EXT-X-STREAM-INF:${[
    `BANDWIDTH=${Math.max(1, Math.ceil(variant.bandwidthBps + audioBps))}`,
    ...(averageBps > 0 ? [`AVERAGE-BANDWIDTH=${averageBps}`] : []),
    `CODECS="${[...codecs].map(quotable).join(',')}"`,
    ...(sized ? [`RESOLUTION=${variant.width}x${variant.height}`] : []),
    ...(variant.frameRate > 0 ? [`FRAME-RATE=${variant.frameRate.toFixed(3)}`] : []),
    ...(shared.hdr && isVideo ? [`VIDEO-RANGE=${variant.videoRange ?? 'SDR'}`] : []),
    ...(group === undefined ? [] : [`AUDIO="${group.id}"`]),
    ...(shared.subtitles ? [`SUBTITLES="${SUBTITLES_GROUP}"`] : []),
    ...closedCaptionsOf(variant, shared.closedCaptions),
  ].join(',')}`
}

/** NONE is a promise for every variant of the playlist (RFC 8216bis 4.4.6.2), so with one that has captions none makes it. */
function closedCaptionsOf(variant: RenditionInfo, any: boolean): readonly string[] {
  if (variant.closedCaptions === true) return [`CLOSED-CAPTIONS="${CAPTIONS_GROUP}"`]
  return any ? [] : ['CLOSED-CAPTIONS=NONE']
}

function averageOf(
  variant: RenditionInfo,
  sound: readonly RenditionInfo[],
  averageBps: ReadonlyMap<string, number> | undefined,
): number {
  const own = averageBps?.get(variant.name) ?? 0
  if (own === 0) return 0
  const most = sound.reduce((bps, { name }) => Math.max(bps, averageBps?.get(name) ?? 0), 0)
  return Math.ceil(own + most)
}

/** Quoted strings hold no quotes and no line ends, and nothing escapes them (RFC 8216bis 4.2). */
function quotable(text: string): string {
  return text.replace(/["\u201c\u201d]/g, "'").replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
}

function uriOf(rendition: RenditionInfo): string {
  return `${rendition.name}/media.m3u8`
}
