/** Turns a planned ladder into what admission is asked for: rungs in the order of their use, and the ways to make each. */
import { encodersFor } from '../media/ladder/encoder-choice.ts'
import type { EncoderState, LadderPlan, LadderSource, VideoFacts } from '../media/ladder/plan.ts'
import type { VideoRung } from '../media/ladder/rung.ts'
import { byUsefulness } from '../media/ladder/usefulness.ts'
import type { Demand } from './admission.ts'
import type { EncoderOption } from './allocate.ts'
import { rungCores, sharedCores } from './cost-model.ts'

/** The demand of a stream. Sound is so cheap that it is not asked for: it counts as shared. */
export function demandOf(
  plan: LadderPlan,
  source: LadderSource,
  encoders: readonly EncoderState[],
): Demand {
  const { video } = source
  const counts = { video: plan.video.length > 0, audio: plan.audio.length }
  const rungs = video === undefined ? [] : byUsefulness(plan.video, video)
  return {
    rungs: rungs.map((rung) => ({
      name: rung.name,
      options: optionsFor(rung, video as VideoFacts, encoders),
    })),
    sharedCores: sharedCores(video, counts),
  }
}

function optionsFor(
  rung: VideoRung,
  source: VideoFacts,
  encoders: readonly EncoderState[],
): EncoderOption[] {
  const need = {
    codec: rung.codec,
    longSide: Math.max(rung.width, rung.height),
    tenBits: rung.dynamicRange === 'keep' && source.videoRange !== 'SDR',
  }
  return encodersFor(need, encoders).map(({ name, hardware }) => ({
    encoder: name,
    cores: rungCores(rung, source, hardware !== undefined),
    session: hardware,
  }))
}
