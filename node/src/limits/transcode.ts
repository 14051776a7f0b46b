/** Bounds of live transcoding: memory, time, retries, and how much of the machine it may take from playback. */

const MiB = 1024 * 1024

/** One stream's transcoder. */
export const transcodeLimits = {
  /** How often children are looked at. A child that hangs is found within `stallMs` and this. */
  checkMs: 250,
  /** Silence of a child that has input after which another takes its place; it speaks four times a second. */
  stallMs: 1_000,
  /** The same before its first sign of life: a busy machine takes seconds to load FFmpeg. */
  startMsMax: 10_000,
  /** The same after stalls in a row: a machine that is only overloaded must not kill its children for ever. */
  stallMsMax: 8_000,
  /** A peer that was itself held up reads what waits in the pipe before it judges. */
  stallGraceMs: 200,
  /** Source units kept for a child that takes over: time, enough for a keyframe every ten seconds. */
  cacheMsMax: 15_000,
  /** The same, bytes: 15 s of 50 Mbit/s. A source beyond it begins again at a later keyframe. */
  cacheBytesMax: 96 * MiB,
  /** A cached group of sound only; every frame of sound could begin one. */
  audioGroupMs: 1_000,
  /** Media time to measure a source's bit rate and frame rate over before its ladder is planned. */
  measureMs: 1_000,
  /** Pause within a source, or a jump, after which a measurement begins anew. */
  measureGapMs: 2_000,
  /** Media time of later measurements of the bit rate. */
  remeasureMs: 10_000,
  /** A ladder that was short of bits is made anew when the source has at least this many times what was measured. */
  replanBitrateShare: 1.5,
  /** Sound without pictures is taken for a stream without pictures after this much of it. */
  audioOnlyMs: 3_000,
  /** How far behind the source a child may begin: it catches up. Further behind, it begins at a later segment. */
  catchUpMsMax: 4_000,
  /** A keyframe this close behind what is published goes on from there: times are rounded on the way, by less than a frame. */
  resumeToleranceMs: 5,
  /** Lag above which a child is behind, unless it is catching up; encoders hold back about a second of pictures. */
  lagMsMax: 3_000,
  /** A lag that shrinks by this much a second is being made good. */
  lagShrinkMs: 50,
  /** Seconds in a row behind before a rung is given up. */
  lagStrikesMax: 3,
  /** No judgement of its lag in a child's first moments: it loads, and works off what it missed. */
  lagGraceMs: 8_000,
  /** Input that waits for a child; more, and it is behind whatever its lag says. */
  queuedBytesMax: 32 * MiB,
  /** Time for a child that is replaced in order to hand out what it has. */
  drainMsMax: 1_500,
  /** Life after which a child's end is a first failure, not one more of the same. */
  healthyMs: 10_000,
  /** Wait before the second new child in a row; the first comes at once, and waits double. */
  restartMsMin: 500,
  restartMsMax: 8_000,
  /** Failures in a row after which the rungs are taken off the stream. */
  failuresMax: 5,
  /** Failures in a row after which hardware is suspected and software takes over. */
  hardwareFailuresMax: 2,
  /** Wait before rungs that failed are tried again; doubles up to the second. */
  retryMsMin: 60_000,
  retryMsMax: 15 * 60_000,
  /** Wait before asking again for a child when all have work. */
  childWaitMs: 2_000,
  /** Time that an encoder which failed is left alone. */
  encoderRetryMs: 10 * 60_000,
} as const

/** How rungs of all streams share the machine. */
export const admissionLimits = {
  /** How often load is judged. */
  judgeMs: 2_000,
  /** Event-loop delay (99th percentile) of the peer above which playback suffers: a whole part. */
  eventLoopDelayMsMax: 200,
  /** Judgements in a row above it before a rung is given up. */
  eventLoopStrikesMax: 3,
  /** A running rung may cost this many times what the budget has left before it is taken away. */
  runningBudgetShare: 1.15,
  /** Places in the order of usefulness that a new rung must be ahead of a running one to take its place. */
  runningRankBonus: 1.5,
  /** Time a rung that was given up stays away; doubles with each time, up to the second. */
  holdMsMin: 30_000,
  holdMsMax: 10 * 60_000,
  /** Time without trouble after which a rung's earlier holds are forgotten. */
  holdForgetMs: 5 * 60_000,
  /** Rungs come back one at a time, this far apart, so that each shows what it costs. */
  releaseGapMs: 10_000,
  /** Bounds of the ratio of measured to estimated cost, so that one odd measurement does not decide. */
  costFactorMin: 0.2,
  costFactorMax: 5,
  /** Weight of one measurement in that ratio. */
  costFactorWeight: 0.2,
  /** Sessions at once of one kind of hardware: what NVIDIA's consumer drivers allow. */
  hardwareSessionsMax: 8,
} as const
