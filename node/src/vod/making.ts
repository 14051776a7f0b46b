/** The making of one video: probe, plan, copy, encode, and put together what players need. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import type { AssetRendition } from '../content/archive/asset-manifest.ts'
import type { CaptionFile, Storyboard } from '../content/archive/presentation.ts'
import { SegmentLog } from '../content/archive/segment-log.ts'
import { type Digest, digestOf } from '../content/digest.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import { vodLimits } from '../limits/vod.ts'
import type { FileFacts, FileVideo } from '../media/child/file/file-facts.ts'
import { readFileFacts } from '../media/child/file/read-file-facts.ts'
import type { Json, MediaJob } from '../media/child/job.ts'
import type { MediaRun, MediaRunHandlers } from '../media/child/media-run.ts'
import { type Asset, spriteFile } from './asset.ts'
import { addCaptionFile } from './captions.ts'
import { MakingProgress } from './making-progress.ts'
import type { VodPipelineComponents, VodPipelineInit } from './pipeline.ts'
import type { PipelineMetrics } from './pipeline-metrics.ts'
import { type ChunkPlan, planVod, type SoundPlan, type VodPlan } from './plan.ts'
import { renditionInfo } from './rendition-info.ts'
import { microseconds, peakBps, targetDurationS } from './segment-facts.ts'
import { isFinished, type OutputPlan, SegmentWriter } from './segment-writer.ts'
import { type Task, workOff } from './work-queue.ts'

/** File in the video's folder that says which plan the finished stretches belong to. */
const PLAN_FILE = 'plan'
/** Whatever the making leaves in the folder. */
const MADE = /^(?!original\.)[a-z0-9.-]+\.(?:mp4|index|jpg|vtt)$/

/** What is made beside the renditions. */
interface Extras {
  captions: readonly CaptionFile[]
  storyboard: Storyboard | undefined
}

/** One video on its way. */
export class Making {
  readonly #components: VodPipelineComponents & { readonly metrics: PipelineMetrics }
  readonly #init: Required<VodPipelineInit>
  readonly #asset: Asset
  readonly #signal: AbortSignal
  readonly #path: string

  constructor(
    components: VodPipelineComponents & { readonly metrics: PipelineMetrics },
    init: Required<VodPipelineInit>,
    asset: Asset,
    signal: AbortSignal,
  ) {
    this.#components = components
    this.#init = init
    this.#asset = asset
    this.#signal = signal
    this.#path = asset.path(asset.manifest.sourceFile ?? '')
  }

  /**
   * Makes the video.
   * @throws KairoError with the reason; what is finished by then is taken over by the next attempt.
   */
  async run(): Promise<void> {
    const { library } = this.#components
    await library.update(this.#asset, { state: 'probing' })
    const probe = await this.#attempt((signal) =>
      this.#job({ type: 'probe', path: this.#path }, {}, signal),
    )(this.#signal)
    const facts = readFileFacts(probe)
    const durationUs = microseconds(facts.duration)
    await library.update(this.#asset, { state: 'transcoding', durationUs })
    try {
      await this.#make(facts, this.#init.copySource)
    } catch (error) {
      // A copy shows whatever is wrong with a file; encoding repairs much of it.
      if (!isKairoError(error, 'ERR_MEDIA') || !this.#init.copySource) throw error
      await this.#make(facts, false)
    }
  }

  async #make(facts: FileFacts, mayCopy: boolean): Promise<void> {
    const { ladder, library } = this.#components
    const { parallel } = this.#init
    const plan = planVod(facts, { ladder, parallel, mayCopy })
    if (plan.video.length === 0 && !plan.copyVideo && plan.sound.length === 0) {
      throw new KairoError('ERR_MEDIA', 'there is nothing in the file that can be made playable')
    }
    await this.#takeOver(plan)
    const extras: Extras = { captions: [], storyboard: undefined }
    const progress = new MakingProgress(this.#components.clock, plan, (state) => {
      this.#asset.progress = state
    })
    await workOff(this.#tasks(facts, plan, extras, progress), parallel, this.#signal)
    const renditions = await this.#renditions(plan)
    await rm(this.#asset.path(PLAN_FILE), { force: true })
    const durationUs = microseconds(facts.duration)
    await library.finish(this.#asset, { durationUs, renditions, ...extras })
  }

  /** Keeps what an earlier run has made under the same plan, and clears everything else away. */
  async #takeOver(plan: VodPlan): Promise<void> {
    const digest = digestOf(Buffer.from(JSON.stringify(plan)))
    const path = this.#asset.path(PLAN_FILE)
    // Without a plan that can be read, everything is made anew.
    const before = await readFile(path, 'utf8').catch(() => '')
    if (before === digest) return
    try {
      for (const file of await readdir(this.#asset.directory)) {
        if (MADE.test(file)) await rm(this.#asset.path(file), { force: true })
      }
      await writeFile(path, digest, { mode: 0o600 })
    } catch (cause) {
      throw storageError('cannot write to the library', cause)
    }
  }

  #tasks(facts: FileFacts, plan: VodPlan, extras: Extras, progress: MakingProgress): Task[] {
    const { video, subtitles } = facts
    const encoded = plan.sound.filter(({ rung }) => rung !== undefined)
    const tasks: Task[] = encoded.map((sound) =>
      this.#attempt((s) => this.#sound(facts, plan, sound, s)),
    )
    if (video !== null) {
      for (const chunk of plan.chunks) {
        tasks.push(this.#attempt((s) => this.#chunk(facts, video, plan, chunk, progress, s)))
      }
    }
    if (plan.copyVideo || encoded.length < plan.sound.length) {
      tasks.push(this.#attempt((signal) => this.#copy(facts, plan, progress, signal)))
    }
    if (video !== null && this.#init.storyboard) {
      tasks.push(
        this.#optional('storyboard', async (signal) => {
          extras.storyboard = await this.#storyboard(facts, video, plan, signal)
        }),
      )
    }
    if (subtitles.length > 0) {
      tasks.push(
        this.#optional('subtitles', async (signal) => {
          extras.captions = await this.#subtitles(facts, signal)
        }),
      )
    }
    return tasks
  }

  async #chunk(
    facts: FileFacts,
    video: FileVideo,
    plan: VodPlan,
    chunk: ChunkPlan,
    progress: MakingProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const { boundaries, lead } = plan
    const { number, first, last, from, to } = chunk
    const outputs = plan.video.map(
      (rung): OutputPlan => ({
        ...{ name: rung.name, kind: 'video', file: number, boundaries, first, end: to },
        lead,
        segments: last - first,
        describe: (config) =>
          renditionInfo(config, { name: rung.name, frameRate: rung.frameRate ?? video.frameRate }),
      }),
    )
    const job: MediaJob = {
      ...{ type: 'chunk', path: this.#path, origin: facts.origin, from, to },
      ...{ videoStream: video.stream, audioStream: undefined, video: plan.video, audio: [] },
      ...{ keyframes: boundaries.slice(first, last), rotation: video.rotation },
      ...{ frameRate: video.frameRate, threads: this.#threads(plan) },
    }
    await this.#write(outputs, job, signal, (position) =>
      progress.note(`chunk ${number}`, position - from),
    )
    progress.note(`chunk ${number}`, to - from)
  }

  /** A file of few stretches leaves cores to each of them. */
  #threads(plan: VodPlan): number {
    return Math.max(1, Math.floor(this.#init.parallel / plan.chunks.length))
  }

  async #sound(
    facts: FileFacts,
    plan: VodPlan,
    sound: SoundPlan,
    signal: AbortSignal,
  ): Promise<void> {
    if (sound.rung === undefined) return
    const job: MediaJob = {
      ...{ type: 'chunk', path: this.#path, origin: facts.origin, from: 0, to: facts.duration },
      ...{ videoStream: undefined, audioStream: sound.stream, video: [], audio: [sound.rung] },
      ...{ keyframes: [], rotation: 0, frameRate: 0, threads: 1 },
    }
    await this.#write([this.#soundOutput(facts, plan, sound)], job, signal, () => {})
  }

  async #copy(
    facts: FileFacts,
    plan: VodPlan,
    progress: MakingProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const { boundaries, lead } = plan
    const { video, origin } = facts
    const outputs: OutputPlan[] = []
    const streams: number[] = []
    if (plan.copyVideo && video !== null) {
      streams.push(video.stream)
      outputs.push({
        ...{ name: 'source', kind: 'video', file: 0, boundaries, first: 0, end: video.to },
        lead,
        segments: plan.videoSegments,
        describe: (config) => renditionInfo(config, { name: 'source', frameRate: video.frameRate }),
      })
    }
    for (const sound of plan.sound.filter(({ rung }) => rung === undefined)) {
      streams.push(sound.stream)
      outputs.push(this.#soundOutput(facts, plan, sound))
    }
    await this.#write(outputs, { type: 'copy', path: this.#path, origin, streams }, signal, (at) =>
      progress.note('copy', at),
    )
    progress.note('copy', facts.duration)
  }

  #soundOutput(facts: FileFacts, plan: VodPlan, sound: SoundPlan): OutputPlan {
    const { name, language, label } = sound
    return {
      ...{ name, kind: 'audio', file: 0, boundaries: plan.boundaries, first: 0 },
      ...{ lead: plan.lead, end: facts.duration, segments: undefined },
      describe: (config) => renditionInfo(config, { name, language, label }),
    }
  }

  /** Runs a job whose outputs become files, unless an earlier run has made them. */
  async #write(
    outputs: readonly OutputPlan[],
    job: MediaJob,
    signal: AbortSignal,
    onPosition: (position: number) => void,
  ): Promise<void> {
    const { directory } = this.#asset
    const finished = await Promise.all(outputs.map((plan) => isFinished(directory, plan)))
    if (finished.every((one) => one)) {
      this.#components.metrics.tasks.inc({ outcome: 'taken-over' })
      return
    }
    this.#expectRoom()
    let run: MediaRun | undefined
    let failure: Error | undefined
    const writer = await SegmentWriter.open({
      ...{ directory, outputs },
      onPressure: (isHigh) => {
        if (isHigh) this.#components.metrics.diskHeld.inc()
        if (isHigh) run?.pause()
        else run?.resume()
      },
      onFailed: (error) => {
        failure = error
        run?.cancel()
      },
    })
    try {
      const handlers: MediaRunHandlers = {
        onConfig: (output, config) => writer.configure(output, config),
        onUnit: (output, unit) => writer.write(output, unit),
        onProgress: ({ position }) => onPosition(position),
      }
      await this.#job(job, handlers, signal, (started) => {
        run = started
      })
      await writer.finish()
      await this.#asset.measure()
    } catch (error) {
      await writer.close()
      throw failure ?? error
    }
  }

  #expectRoom(): void {
    const { bytesFree } = this.#components.library.usage()
    if (bytesFree > 0) return
    throw new KairoError('ERR_STORAGE', 'the library has no room left for this video')
  }

  async #storyboard(
    { origin }: FileFacts,
    video: FileVideo,
    { storyboard: board }: VodPlan,
    signal: AbortSignal,
  ): Promise<Storyboard | undefined> {
    if (board === undefined) return undefined
    const sprites: Digest[] = []
    const spritesMax = Math.ceil(board.count / (board.columns * board.rows))
    let writing = Promise.resolve()
    const job: MediaJob = {
      ...{ type: 'storyboard', path: this.#path, origin, videoStream: video.stream },
      ...{ ...board, rotation: video.rotation },
    }
    const onBlob = (_about: Json, bytes: Buffer): void => {
      if (sprites.length === spritesMax) {
        throw new KairoError('ERR_WORKER', `more than the ${spritesMax} sprites asked for`)
      }
      const path = this.#asset.path(spriteFile(sprites.length))
      sprites.push(digestOf(bytes))
      writing = writing.then(() => writeFile(path, bytes, { mode: 0o600 }))
      // It is awaited below; until then a refusal of the disk must not be one that nobody handles, which ends the peer.
      writing.catch(() => {})
    }
    try {
      await this.#job(job, { onBlob }, signal)
    } finally {
      // After a failed job too: what it has left would be written over the next attempt's.
      await writing.catch((cause: unknown) => {
        throw storageError('cannot write to the library', cause)
      })
    }
    return { ...board, sprites }
  }

  async #subtitles(facts: FileFacts, signal: AbortSignal): Promise<readonly CaptionFile[]> {
    const { origin, subtitles } = facts
    const files = new Map<number, Buffer>()
    const streams = subtitles.map(({ stream }) => stream)
    const onBlob = (about: Json, bytes: Buffer): void => {
      const stream =
        typeof about === 'object' && about !== null && 'stream' in about && about.stream
      if (typeof stream !== 'number' || !streams.includes(stream)) {
        throw new KairoError('ERR_WORKER', 'subtitles that nobody asked for')
      }
      files.set(stream, bytes)
    }
    await this.#job({ type: 'subtitles', path: this.#path, origin, streams }, { onBlob }, signal)
    let captions: readonly CaptionFile[] = []
    for (const { stream, language, label } of subtitles) {
      const file = files.get(stream)
      if (file === undefined) continue
      captions = await addCaptionFile(this.#asset, captions, language || 'und', label, file)
    }
    return captions
  }

  /** What players must know of each rendition, now that all its segments are there. */
  async #renditions(plan: VodPlan): Promise<readonly AssetRendition[]> {
    const names = [
      ...(plan.copyVideo ? ['source'] : []),
      ...plan.video.map(({ name }) => name),
      ...plan.sound.map(({ name }) => name),
    ]
    const renditions: AssetRendition[] = []
    for (const name of names) {
      const log = await SegmentLog.open(this.#components, {
        ...{ directory: this.#asset.directory, name, writable: false },
      })
      const { info, segments } = log
      await log.close()
      if (info === undefined || segments.length === 0) {
        throw new KairoError('ERR_STORAGE', `the segments of ${name} are not on disk`)
      }
      renditions.push({
        info: { ...info, bandwidthBps: peakBps(segments) },
        ...{ targetDurationS: targetDurationS(segments), segments: segments.length },
      })
    }
    return renditions
  }

  /** Tries again what a crashed or stuck child has left, a few times. */
  #attempt<Result>(
    work: (signal: AbortSignal) => Promise<Result>,
  ): (signal: AbortSignal) => Promise<Result> {
    const { metrics, logger } = this.#components
    return async (signal) => {
      for (let tries = 0; ; tries++) {
        try {
          const result = await work(signal)
          metrics.tasks.inc({ outcome: 'done' })
          return result
        } catch (error) {
          const isWorth = isKairoError(error, 'ERR_WORKER') || isKairoError(error, 'ERR_TIMEOUT')
          if (signal.aborted || !isWorth || tries >= vodLimits.retriesMax) {
            metrics.tasks.inc({ outcome: 'failed' })
            throw error
          }
          metrics.tasks.inc({ outcome: 'retried' })
          const vod = this.#asset.manifest.id
          logger.warn({ err: error, vod, tries }, 'a child of a video failed; trying again')
        }
      }
    }
  }

  /** Work without which a video is still a video. */
  #optional(what: string, work: Task): Task {
    const attempt = this.#attempt(work)
    return async (signal) => {
      try {
        await attempt(signal)
      } catch (error) {
        if (signal.aborted || isKairoError(error, 'ERR_STORAGE')) throw error
        const vod = this.#asset.manifest.id
        this.#components.logger.warn({ err: error, vod, what }, 'a video goes without')
      }
    }
  }

  /** Runs a job in a child when there is room for one; a signal that fires ends it. */
  async #job(
    job: MediaJob,
    handlers: MediaRunHandlers,
    signal: AbortSignal,
    onStart: (run: MediaRun) => void = () => {},
  ): Promise<Json> {
    const run = await this.#start(job, handlers, signal)
    onStart(run)
    const { running } = this.#components.metrics
    running.inc()
    const cancel = (): void => run.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      if (signal.aborted) run.cancel()
      return await run.done
    } finally {
      signal.removeEventListener('abort', cancel)
      running.dec()
    }
  }

  async #start(job: MediaJob, handlers: MediaRunHandlers, signal: AbortSignal): Promise<MediaRun> {
    const { canStart, media, metrics, clock } = this.#components
    for (;;) {
      signal.throwIfAborted()
      if (canStart()) {
        try {
          return media.run(job, handlers)
        } catch (error) {
          // Live streams have all children; they go first.
          if (!isKairoError(error, 'ERR_LIMIT')) throw error
        }
      }
      metrics.held.inc()
      await pause(clock, vodLimits.admissionRetryMs, signal)
    }
  }
}

/** Resolves after a while, or at once when the signal fires. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(delayMs, done)
    signal.addEventListener('abort', done, { once: true })
  })
}
