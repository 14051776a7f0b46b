/** What the `p2p` bench makes of its readings: medians by scenario and side, and the targets that they are held against. */
import type { P2pReading, P2pScenario, P2pSide } from './p2p-run.ts'
import { median, round } from './statistics.ts'

/** Medians over the repetitions; wrong segments and fatal errors are those of all of them. */
export type SideFigures = Readonly<
  Record<
    | 'offload'
    | 'firstFrameMs'
    | 'firstFrameMaxMs'
    | 'requests'
    | 'latencyS'
    | 'stallMs'
    | 'stalls'
    | 'httpMB'
    | 'peerMB'
    | 'originMB'
    | 'wrong'
    | 'fatalErrors',
    number
  >
>

/** By scenario and side. */
export type P2pFigures = Readonly<Record<string, Readonly<Record<string, SideFigures>>>>

/** Something that was to be reached. */
export interface Target {
  readonly name: string
  readonly read: string
  readonly isMet: boolean
}

/** What the mean latency of players that play the same differs by from run to run. */
const latencySlackS = 0.1
/** What a first frame differs by from run to run. */
const frameSlackMs = 50

/** The medians. */
export function p2pFigures(
  scenarios: readonly P2pScenario[],
  readingsOf: (scenario: P2pScenario, side: P2pSide) => readonly P2pReading[],
): P2pFigures {
  return Object.fromEntries(
    scenarios.map((scenario) => [
      scenario.name,
      Object.fromEntries(
        scenario.sides.map((side) => [side, sideFigures(readingsOf(scenario, side))]),
      ),
    ]),
  )
}

function sideFigures(readings: readonly P2pReading[]): SideFigures {
  const of = (value: (reading: P2pReading) => number, decimals = 0): number =>
    round(median(readings.map(value)), decimals)
  const fatal = readings
    .flatMap(({ errors }) => errors)
    .filter((error) => error.includes('(fatal)'))
  return {
    offload: of(({ offload }) => offload, 3),
    firstFrameMs: of(({ firstFrameMs }) => firstFrameMs),
    firstFrameMaxMs: of(({ firstFrameMaxMs }) => firstFrameMaxMs),
    requests: of(({ requests }) => requests),
    latencyS: of(({ latencyS }) => latencyS, 2),
    stallMs: of(({ stallMs }) => stallMs),
    stalls: of(({ stalls }) => stalls),
    httpMB: of(({ httpBytes }) => httpBytes / 1e6, 1),
    peerMB: of(({ peerBytes }) => peerBytes / 1e6, 1),
    originMB: of(({ originBytes }) => originBytes / 1e6, 1),
    wrong: readings.reduce((sum, { wrong }) => sum + wrong, 0),
    fatalErrors: fatal.length,
  }
}

/** The targets, of the scenarios that were played. */
export function p2pTargets(figures: P2pFigures, bundleGzipBytes: number): readonly Target[] {
  const targets: Target[] = []
  const hold = (
    scenario: string,
    name: string,
    of: (ours: SideFigures, plain: SideFigures) => readonly [string, boolean],
  ): void => {
    const { ours, plain } = figures[scenario] ?? {}
    if (ours === undefined || plain === undefined) return
    const [read, isMet] = of(ours, plain)
    targets.push({ name: `${scenario}: ${name}`, read, isMet })
  }
  const offload = (scenario: string, least: number): void =>
    hold(scenario, `offload at least ${least}`, (ours) => [
      `${ours.offload}`,
      ours.offload >= least,
    ])
  const latency = (scenario: string): void =>
    hold(scenario, 'latency of plain hls.js', (ours, plain) => [
      `${ours.latencyS} s, plain ${plain.latencyS} s`,
      ours.latencyS <= plain.latencyS + latencySlackS,
    ])
  hold('vod', 'at most 33 requests', ({ requests }) => [`${requests}`, requests <= 33])
  hold('vod', 'first frame within 10 % of plain', (ours, plain) => [
    `${ours.firstFrameMs} ms, plain ${plain.firstFrameMs} ms`,
    ours.firstFrameMs <= plain.firstFrameMs * 1.1 + frameSlackMs,
  ])
  hold('vod-4m', 'slowest first frame at most 3 s', ({ firstFrameMaxMs }) => [
    `${firstFrameMaxMs} ms`,
    firstFrameMaxMs <= 3_000,
  ])
  offload('vod-4m', 0.6)
  offload('live', 0.6)
  latency('live')
  offload('ll-8', 0.75)
  latency('ll-8')
  hold('ll-8', 'stalls no more than plain', (ours, plain) => [
    `${ours.stalls}, plain ${plain.stalls}`,
    ours.stalls <= plain.stalls,
  ])
  for (const [scenario, { ours }] of Object.entries(figures)) {
    if (ours === undefined) continue
    const { wrong, fatalErrors } = ours
    const read = `${wrong} wrong, ${fatalErrors} fatal`
    targets.push({
      name: `${scenario}: bytes equal, no error`,
      read,
      isMet: wrong + fatalErrors === 0,
    })
  }
  const isSmall = bundleGzipBytes <= 25_000
  targets.push({ name: 'bundle at most 25 kB gzip', read: `${bundleGzipBytes}`, isMet: isSmall })
  return targets
}
