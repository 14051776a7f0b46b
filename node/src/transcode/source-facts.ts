/** What the planner is told of a live source: its configurations and what was measured of it. */
import type { AudioConfig, VideoConfig } from '../media/access-unit.ts'
import { videoRangeOf } from '../media/codecs/video-signal.ts'
import type { LadderSource, VideoFacts } from '../media/ladder/plan.ts'
import type { SourceRate } from './source-meter.ts'

/** The facts of a live source. */
export function sourceFacts(
  video: VideoConfig | undefined,
  audio: AudioConfig | undefined,
  rate: SourceRate | undefined,
): LadderSource {
  return {
    video: video === undefined ? undefined : videoFacts(video, rate),
    audio:
      audio === undefined
        ? undefined
        : { codec: audio.codec, channels: audio.channels, sampleRate: audio.sampleRate },
  }
}

/** True when a new configuration asks for a new ladder; else the child goes on with it. */
export function needsNewLadder(
  before: VideoConfig | AudioConfig,
  after: VideoConfig | AudioConfig,
): boolean {
  if (before.kind === 'audio' || after.kind === 'audio') {
    return before.kind !== after.kind || before.codec !== after.codec
  }
  const sameSize = before.width === after.width && before.height === after.height
  const sameRange = videoRangeOf(before.colour?.transfer) === videoRangeOf(after.colour?.transfer)
  return !sameSize || !sameRange || before.codec !== after.codec
}

function videoFacts(config: VideoConfig, rate: SourceRate | undefined): VideoFacts {
  const { codec, codecString, width, height } = config
  return {
    ...{ codec, codecString, width, height },
    // What is declared may be a lie of the encoder's time base; what comes is what must be encoded.
    frameRate: rate?.frameRate ?? config.frameRate,
    bitrateBps: rate?.bitrateBps,
    videoRange: videoRangeOf(config.colour?.transfer),
  }
}
