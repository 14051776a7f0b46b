/**
 * Stands in the place of a stream's sink while others are asked whose the stream is: a caller gives up after three seconds without an
 * answer, and the lease of an owner that was killed lasts longer. What comes meanwhile is not live any more when the answer comes, so it
 * is dropped, and the stream begins with the next keyframe.
 */
import type { AccessUnit, TrackConfig } from '../../media/access-unit.ts'
import type { PublicationSink } from '../../media/sink.ts'

/** A sink before there is one. */
export class LateSink implements PublicationSink {
  readonly #onDropped: () => void
  #sink: PublicationSink | undefined
  #kinds: { readonly video?: boolean; readonly audio?: boolean } | undefined
  /** The newest of each track; as many as the demuxer takes. */
  readonly #configs = new Map<string, TrackConfig>()
  /** Video tracks of which something was dropped: what follows, up to a keyframe, is of no use. */
  readonly #broken = new Set<number>()
  #endReason: string | undefined

  /** `onDropped` hears of each access unit that comes too early. */
  constructor(onDropped: () => void) {
    this.#onDropped = onDropped
  }

  /** Empty until the publisher is admitted. */
  get streamName(): string {
    return this.#sink?.streamName ?? ''
  }

  /** The publisher is admitted; one that has ended meanwhile is ended here too. */
  admitted(sink: PublicationSink): void {
    if (this.#endReason !== undefined) {
      sink.end(this.#endReason)
      return
    }
    this.#sink = sink
    if (this.#kinds !== undefined) sink.expect(this.#kinds)
    for (const config of this.#configs.values()) sink.configure(config)
    this.#configs.clear()
  }

  expect(kinds: { readonly video?: boolean; readonly audio?: boolean }): void {
    if (this.#sink === undefined) this.#kinds = kinds
    else this.#sink.expect(kinds)
  }

  configure(config: TrackConfig): void {
    if (this.#sink !== undefined) this.#sink.configure(config)
    else this.#configs.set(`${config.kind} ${config.track ?? 0}`, config)
  }

  write(unit: AccessUnit): Promise<void> | undefined {
    if (this.#sink !== undefined && this.#follows(unit)) return this.#sink.write(unit)
    if (unit.kind === 'video') this.#broken.add(unit.track ?? 0)
    this.#onDropped()
    return undefined
  }

  end(reason: string): void {
    this.#endReason = reason
    this.#sink?.end(reason)
  }

  #follows({ kind, track = 0, keyframe }: AccessUnit): boolean {
    if (kind === 'video' && keyframe) this.#broken.delete(track)
    return kind !== 'video' || !this.#broken.has(track)
  }
}
