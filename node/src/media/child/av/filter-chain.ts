/** A row of FFmpeg filters with one end to put frames in and one to take them out. */

import type { HardwareDeviceContext } from 'node-av/lib'
import { FFmpegError, Filter, type FilterContext, FilterGraph, type Frame } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'

/** One filter: its name and its options in FFmpeg's notation. */
export type FilterStep = readonly [name: string, options: string]

/** Filters frames one after the other. */
export class FilterChain {
  readonly #graph = new FilterGraph()
  readonly #source: FilterContext
  readonly #sink: FilterContext

  /**
   * `source` is `buffer` or `abuffer` with what comes in; `device` is for steps that upload.
   * @throws KairoError `ERR_WORKER` when this build of FFmpeg lacks a filter or refuses the row.
   */
  constructor(
    source: FilterStep,
    steps: readonly FilterStep[],
    threads: number,
    device?: HardwareDeviceContext,
  ) {
    this.#graph.alloc()
    this.#graph.nbThreads = threads
    const sink: FilterStep = [source[0] === 'buffer' ? 'buffersink' : 'abuffersink', '']
    const row = [source, ...steps, sink].map((step, index) => this.#make(step, index, device))
    for (const [index, filter] of row.entries()) {
      const next = row[index + 1]
      if (next !== undefined) FFmpegError.throwIfError(filter.link(0, next, 0), 'link')
    }
    this.#source = row[0] as FilterContext
    this.#sink = row.at(-1) as FilterContext
    FFmpegError.throwIfError(this.#graph.configSync(), `filters ${JSON.stringify(steps)}`)
  }

  /** Puts a frame in, which is empty afterwards, or with null the end, and hands on what comes out; `out` is reused for each. */
  push(frame: Frame | null, out: Frame, onFrame: (frame: Frame) => void): void {
    FFmpegError.throwIfError(this.#source.buffersrcAddFrameSync(frame), 'filter')
    while (this.#sink.buffersinkGetFrameSync(out) >= 0) {
      onFrame(out)
      out.unref()
    }
  }

  free(): void {
    this.#graph.free()
  }

  #make([name, options]: FilterStep, index: number, device?: HardwareDeviceContext): FilterContext {
    const filter = Filter.getByName(name)
    const context = filter && this.#graph.allocFilter(filter, `${name}${index}`)
    if (context === null) throw new KairoError('ERR_WORKER', `FFmpeg has no filter ${name} here`)
    if (device !== undefined && name === 'hwupload') context.hwDeviceCtx = device
    FFmpegError.throwIfError(context.initStr(options === '' ? null : options), `filter ${name}`)
    return context
  }
}
