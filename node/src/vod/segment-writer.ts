/**
 * Writes what one child makes to disk as it comes: units into segments, segments into files. A disk that is slower than the child
 * holds the child back; a disk that refuses ends the work.
 */
import { rm } from 'node:fs/promises'
import { SegmentFile, type SegmentWrite } from '../content/archive/segment-file.ts'
import { segmentFilePath } from '../content/archive/segment-log.ts'
import type { RenditionInfo } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import { vodLimits } from '../limits/vod.ts'
import type { AccessUnit, TrackConfig } from '../media/access-unit.ts'
import { AudioSegmenter } from './audio-segmenter.ts'
import { VideoSegmenter } from './video-segmenter.ts'

/** One output of a child, and where it goes. */
export interface OutputPlan {
  /** Rendition. */
  readonly name: string
  readonly kind: 'video' | 'audio'
  /** Number of the file in the rendition's segment log. */
  readonly file: number
  /** All segment boundaries of the video, 1/90000 s. */
  readonly boundaries: readonly number[]
  /** First segment of the stretch, and where it ends. */
  readonly first: number
  readonly end: number
  /** How much later than in the file everything is presented, 1/90000 s. */
  readonly lead: number
  /** Segments that there will be; a file with as many is finished. Undefined when only the end of the track tells. */
  readonly segments: number | undefined
  /** What players must know, out of the configuration. */
  readonly describe: (config: TrackConfig) => RenditionInfo
}

/** How a {@link SegmentWriter} is built. */
export interface SegmentWriterInit {
  readonly directory: string
  readonly outputs: readonly OutputPlan[]
  /** Holds the child back, or lets it go on. */
  readonly onPressure: (isHigh: boolean) => void
  /** Something failed; the child's work is for nothing. */
  readonly onFailed: (error: Error) => void
}

interface Output {
  readonly plan: OutputPlan
  readonly file: SegmentFile
  readonly segmenter: VideoSegmenter | AudioSegmenter
}

/** Writes the outputs of one child. */
export class SegmentWriter {
  readonly #init: SegmentWriterInit
  readonly #outputs: readonly Output[]
  #queue: Promise<void> = Promise.resolve()
  #queuedBytes = 0
  #isHeld = false
  #error: Error | undefined

  private constructor(init: SegmentWriterInit, files: readonly SegmentFile[]) {
    this.#init = init
    this.#outputs = init.outputs.map((plan, index) => {
      const file = files[index] as SegmentFile
      const onSegment = (write: SegmentWrite): void => this.#enqueue(file, write)
      const { boundaries, first, end, lead } = plan
      const segmenter =
        plan.kind === 'video'
          ? new VideoSegmenter({ boundaries, first, end, lead, onSegment })
          : new AudioSegmenter({ boundaries, lead, onSegment })
      return { plan, file, segmenter }
    })
  }

  /**
   * Makes the files anew.
   * @throws KairoError `ERR_STORAGE`.
   */
  static async open(init: SegmentWriterInit): Promise<SegmentWriter> {
    const files: SegmentFile[] = []
    try {
      for (const { name, file } of init.outputs) {
        const path = segmentFilePath(init.directory, name, file)
        await rm(`${path}.index`, { force: true })
        await rm(`${path}.mp4`, { force: true })
        files.push(await SegmentFile.open({ path, writable: true, durable: false }))
      }
      return new SegmentWriter(init, files)
    } catch (cause) {
      await Promise.all(files.map((file) => file.close()))
      throw storageError('cannot write to the library', cause)
    }
  }

  /** A child's configuration of an output. */
  configure(output: number, config: TrackConfig): void {
    this.#attempt(() => {
      const { segmenter } = this.#at(output)
      if (segmenter instanceof VideoSegmenter && config.kind === 'video')
        segmenter.configure(config)
      if (segmenter instanceof AudioSegmenter && config.kind === 'audio')
        segmenter.configure(config)
    })
  }

  /** A child's unit. */
  write(output: number, unit: AccessUnit): void {
    this.#attempt(() => this.#at(output).segmenter.write(unit))
  }

  /**
   * Writes what is left, and checks that every output has its segments.
   * @throws KairoError `ERR_STORAGE`, `ERR_MEDIA` when segments are missing.
   */
  async finish(): Promise<void> {
    this.#attempt(() => {
      for (const { segmenter } of this.#outputs) segmenter.finish()
    })
    for (const { file, segmenter, plan } of this.#outputs) {
      const { config } = segmenter
      if (config !== undefined) this.#inOrder(() => file.describe(plan.describe(config)))
    }
    await this.close()
    if (this.#error !== undefined) throw this.#error
    for (const { plan, file } of this.#outputs) {
      const { length } = file.segments
      if (length === 0 || (plan.segments ?? length) !== length) {
        throw new KairoError('ERR_MEDIA', `${plan.name} has ${length} of ${plan.segments} segments`)
      }
    }
  }

  /** Waits for writes under way and lets go of the files. */
  async close(): Promise<void> {
    await this.#queue
    await Promise.all(this.#outputs.map(({ file }) => file.close()))
  }

  #at(output: number): Output {
    const found = this.#outputs[output]
    if (found === undefined) {
      throw new KairoError('ERR_WORKER', `the child made an output ${output} that nobody asked for`)
    }
    return found
  }

  #enqueue(file: SegmentFile, write: SegmentWrite): void {
    const { bytes } = write.segment
    this.#queuedBytes += bytes
    this.#press()
    this.#inOrder(async () => {
      await file.append(write)
      this.#queuedBytes -= bytes
      this.#press()
    })
  }

  #press(): void {
    const isHigh = this.#queuedBytes > vodLimits.writeQueueBytesMax
    if (isHigh === this.#isHeld) return
    this.#isHeld = isHigh
    this.#init.onPressure(isHigh)
  }

  #inOrder(work: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#error !== undefined) return
      try {
        await work()
      } catch (cause) {
        this.#fail(storageError('cannot write to the library', cause))
      }
    })
  }

  #attempt(work: () => void): void {
    if (this.#error !== undefined) return
    try {
      work()
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #fail(error: Error): void {
    this.#error ??= error
    this.#init.onFailed(error)
  }
}

/** True when an earlier run has finished this output. */
export async function isFinished(directory: string, plan: OutputPlan): Promise<boolean> {
  if (plan.segments === undefined) return false
  try {
    const path = segmentFilePath(directory, plan.name, plan.file)
    const file = await SegmentFile.open({ path, writable: true, durable: false })
    await file.close()
    return file.segments.length === plan.segments && file.info !== undefined
  } catch {
    // What cannot be opened is made again.
    return false
  }
}
