/**
 * The order in which rungs are worth having when not all can be made. First the rung that nearly every viewer can play, near
 * 480 lines; then always the one whose bit rate is farthest from all that viewers have already, the source included: a viewer
 * on a slow line gains more from 240 lines than one on a fast line from a near copy of the source.
 */
import { ladderLimits } from '../../limits/ladder.ts'
import { isWidelyPlayable, type VideoFacts } from './plan.ts'
import type { VideoRung } from './rung.ts'

/** The rungs, the most useful first. Rungs that only some players take (HEVC, AV1, HDR) come after those that all do. */
export function byUsefulness(rungs: readonly VideoRung[], source: VideoFacts): VideoRung[] {
  const isCommon = (rung: VideoRung): boolean => rung.codec === 'h264'
  const common = rungs.filter(isCommon)
  const special = rungs.filter((rung) => !isCommon(rung))
  const { bitrateBps } = source
  const playable = bitrateBps !== undefined && isWidelyPlayable(source)
  return [
    ...spread(common, playable ? [bitrateBps] : []),
    ...spread(special, bitrateBps === undefined ? [] : [bitrateBps]),
  ]
}

function spread(rungs: readonly VideoRung[], offered: readonly number[]): VideoRung[] {
  const left = [...rungs]
  const chosen: VideoRung[] = []
  while (left.length > 0) {
    const next = chosen.length === 0 ? base(left) : farthest(left, [...offered, ...rates(chosen)])
    left.splice(left.indexOf(next), 1)
    chosen.push(next)
  }
  return chosen
}

const rates = (rungs: readonly VideoRung[]): number[] => rungs.map(({ bitrateBps }) => bitrateBps)

function base(rungs: readonly VideoRung[]): VideoRung {
  const distance = ({ width, height }: VideoRung): number =>
    Math.abs(Math.log(Math.min(width, height) / ladderLimits.baseShortSide))
  return rungs.reduce((best, rung) => (distance(rung) < distance(best) ? rung : best))
}

function farthest(rungs: readonly VideoRung[], offered: readonly number[]): VideoRung {
  const worth = ({ bitrateBps, width, height }: VideoRung): number =>
    Math.min(...offered.map((rate) => Math.abs(Math.log(bitrateBps / rate)))) /
    (width * height) ** ladderLimits.usefulnessPixelPower
  return rungs.reduce((best, rung) => (worth(rung) > worth(best) ? rung : best))
}
