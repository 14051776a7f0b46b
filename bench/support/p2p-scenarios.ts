/** The scenarios of the `p2p` bench: those in which p2p-media-loader was measured before, low latency, and viewers that come and go. */
import type { P2pScenario } from './p2p-run.ts'

const all = ['ours', 'plain', 'p2pml'] as const
const tightBps = 4_000_000

/** Three segments behind the edge, as players without low latency are by default; p2p-media-loader at its best there (its README). */
const live = {
  isLive: true,
  hls: { liveSyncDurationCount: 3 },
  core: { highDemandTimeWindow: 4 },
} as const

/** With `isQuick` each is so short that it shows no more than that it works. */
export function p2pScenarios(isQuick: boolean): readonly P2pScenario[] {
  const seconds = (full: number): number => (isQuick ? 12 : full)
  const three = { viewers: 3, sides: all }
  return [
    // With a minute of buffer the whole stream is loaded within one.
    {
      ...{ name: 'vod', ...three, seconds: seconds(66) },
      hls: { maxBufferLength: 60, maxMaxBufferLength: 60 },
    },
    { name: 'vod-stagger', ...three, seconds: seconds(30), staggerS: isQuick ? 3 : 8 },
    { name: 'vod-4m', ...three, seconds: seconds(40), limitBps: tightBps },
    {
      ...{ name: 'vod-4m-stagger', ...three, seconds: seconds(30) },
      ...{ staggerS: isQuick ? 3 : 5, limitBps: tightBps },
    },
    { name: 'live', ...three, ...live, seconds: seconds(40) },
    { name: 'live-4m', ...three, ...live, seconds: seconds(40), limitBps: tightBps },
    {
      ...{ name: 'll-8', viewers: 8, sides: ['ours', 'plain'], seconds: seconds(30) },
      ...{ isLowLatency: true, hls: { lowLatencyMode: true } },
    },
    {
      ...{ name: 'churn-8', viewers: 8, sides: all, ...live },
      ...{ seconds: seconds(40), churnS: 5 },
    },
  ]
}
