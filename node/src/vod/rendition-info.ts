/** What players are told of a rendition that was made of a file. */
import type { RenditionInfo } from '../content/stream.ts'
import type { TrackConfig } from '../media/access-unit.ts'
import { videoRangeOf } from '../media/codecs/video-signal.ts'

/** Facts that a track's configuration does not tell. */
export interface InfoFacts {
  readonly name: string
  /** Pictures a second, where the configuration does not say. */
  readonly frameRate?: number | undefined
  readonly language?: string
  readonly label?: string
}

/** The description of a rendition; its bit rate is known when all its segments are. */
export function renditionInfo(config: TrackConfig, facts: InfoFacts): RenditionInfo {
  const { name, language, label } = facts
  const named = {
    name,
    ...(language === undefined || language === '' ? {} : { language }),
    ...(label === undefined || label === '' ? {} : { label }),
  }
  if (config.kind === 'audio') {
    return {
      ...{ ...named, kind: 'audio', codecs: config.codecString, bandwidthBps: 0 },
      ...{ width: 0, height: 0, frameRate: 0, channels: config.channels },
    }
  }
  const range = videoRangeOf(config.colour?.transfer)
  return {
    ...{ ...named, kind: 'video', codecs: config.codecString, bandwidthBps: 0 },
    ...{ width: config.width, height: config.height, channels: 0 },
    frameRate: Math.round((facts.frameRate ?? config.frameRate ?? 0) * 1000) / 1000,
    ...(range === 'SDR' ? {} : { videoRange: range }),
  }
}
