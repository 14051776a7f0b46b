/** What people are told of a stream's transcoding: which rungs are made and how they are, and why the others are not. */
import { transcodeLimits } from '../limits/transcode.ts'
import type { DroppedRung, LadderSource } from '../media/ladder/plan.ts'
import type { AudioRung, VideoRung } from '../media/ladder/rung.ts'
import type { TranscoderPhase, TranscoderView } from './stream-transcoder.ts'

/** `live`: made in time. `behind`: made, but late. `waiting`: nothing yet, or its child is being replaced. */
export type RungState = 'live' | 'behind' | 'waiting'

/** One rung that is made. */
export interface RungStatus {
  readonly name: string
  readonly kind: 'video' | 'audio'
  /** Pixels; 0 for sound. */
  readonly width: number
  readonly height: number
  /** Pictures a second; null when it follows a source whose rate is unknown, and for sound. */
  readonly frameRate: number | null
  readonly bitrateBps: number
  readonly encoder: string
  readonly state: RungState
  /** Behind the source; null before there is a child. */
  readonly lagMs: number | null
}

/** One stream. */
export interface StreamTranscoding {
  readonly stream: string
  /** Name of the preset. */
  readonly quality: string
  readonly phase: TranscoderPhase
  /** Undefined until it was measured. */
  readonly source: LadderSource | undefined
  readonly rungs: readonly RungStatus[]
  readonly dropped: readonly DroppedRung[]
  /** Process of the child that makes the rungs. */
  readonly pid: number | undefined
  /** Cores that it takes. */
  readonly cores: number | undefined
  /** Media time made in a second; 1 keeps pace. */
  readonly speed: number | undefined
  readonly restarts: number
  readonly problem: string | undefined
}

/** The status of one stream. */
export function streamTranscoding(view: TranscoderView): StreamTranscoding {
  return {
    stream: view.streamName,
    quality: view.quality,
    phase: view.phase,
    source: view.source,
    rungs: rungStatuses(view),
    dropped: droppedRungs(view),
    pid: view.run?.pid,
    cores: view.run?.cores,
    speed: view.speed,
    restarts: view.restarts,
    problem: view.problem,
  }
}

function rungStatuses({ rungs, run, source }: TranscoderView): RungStatus[] {
  const states = new Map(run?.states().map((state) => [state.output.rung.name, state]))
  return rungs.map((rung) => {
    const { lagMs, live } = states.get(rung.name) ?? { lagMs: null, live: false }
    const late = lagMs !== null && lagMs > transcodeLimits.lagMsMax
    const state: RungState = live ? (late ? 'behind' : 'live') : 'waiting'
    const facts = 'width' in rung ? pictureFacts(rung, source) : soundFacts(rung)
    return { name: rung.name, ...facts, bitrateBps: rung.bitrateBps, state, lagMs }
  })
}

function pictureFacts({ width, height, frameRate, encoder }: VideoRung, source?: LadderSource) {
  const rate = frameRate ?? source?.video?.frameRate ?? null
  return { kind: 'video', width, height, frameRate: rate, encoder } as const
}

function soundFacts({ codec }: AudioRung) {
  const encoder = codec === 'aac' ? 'aac' : 'libopus'
  return { kind: 'audio', width: 0, height: 0, frameRate: null, encoder } as const
}

/** Every rung that the preset asks for and that is not made, each once. */
function droppedRungs({ plan, grant, noPlace, phase, problem }: TranscoderView): DroppedRung[] {
  const reasons = new Map(plan?.dropped.map(({ name, reason }) => [name, reason]))
  for (const [name, reason] of grant?.refused ?? []) reasons.set(name, reason)
  for (const [name, reason] of noPlace) reasons.set(name, reason)
  if (phase === 'failed') {
    for (const { name } of [...(plan?.video ?? []), ...(plan?.audio ?? [])]) {
      reasons.set(name, `it failed and is tried again later: ${problem ?? 'unknown'}`)
    }
  }
  return [...reasons].map(([name, reason]) => ({ name, reason }))
}
