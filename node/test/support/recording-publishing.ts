/**
 * A Publishing that admits one stream key and records everything a publisher writes, for tests of ingest protocols.
 */
import { KairoError } from '../../src/errors.ts'
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import type { PublicationSink, Publishing, PublishRequest } from '../../src/media/sink.ts'

/** What one publication received, in order. */
export class RecordingSink implements PublicationSink {
  readonly streamName = 'test'
  readonly expected: { readonly video?: boolean; readonly audio?: boolean }[] = []
  readonly configs: TrackConfig[] = []
  readonly units: AccessUnit[] = []
  /** Undefined while the publication goes on. */
  endReason: string | undefined
  /** Settles with the reason of the end. */
  readonly ended: Promise<string>
  /** What the next writes return; undefined for no backpressure. */
  wait: Promise<void> | undefined
  readonly #resolve: (reason: string) => void
  readonly #watchers: { readonly count: number; readonly resolve: () => void }[] = []

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.ended = promise
    this.#resolve = resolve
  }

  expect(kinds: { readonly video?: boolean; readonly audio?: boolean }): void {
    this.#live()
    this.expected.push(kinds)
  }

  configure(config: TrackConfig): void {
    this.#live()
    this.configs.push(config)
  }

  write(unit: AccessUnit): Promise<void> | undefined {
    this.#live()
    this.units.push(unit)
    for (const watcher of this.#watchers) {
      if (this.units.length >= watcher.count) watcher.resolve()
    }
    return this.wait
  }

  end(reason: string): void {
    this.#live()
    this.endReason = reason
    this.#resolve(reason)
  }

  /** Settles when this many access units have come. */
  async received(count: number): Promise<void> {
    if (this.units.length >= count) return
    await new Promise<void>((resolve) => {
      this.#watchers.push({ count, resolve })
    })
  }

  #live(): void {
    if (this.endReason !== undefined) throw new Error('the publication was used after its end')
  }
}

/** Admits `key` for one publisher at a time. */
export class RecordingPublishing implements Publishing {
  readonly requests: PublishRequest[] = []
  readonly sinks: RecordingSink[] = []
  /** Thrown by the next publish instead of admitting. */
  failure: unknown
  /** While it is there, others are asked first: publishers are admitted when it resolves, and refused when it rejects. */
  asking: Promise<void> | undefined
  readonly #streamKey: string
  readonly #prepare: (sink: RecordingSink) => void
  readonly #watchers: ((sink: RecordingSink) => void)[] = []

  /** `prepare` sees each new sink before the publisher writes to it. */
  constructor(streamKey: string, prepare: (sink: RecordingSink) => void = () => {}) {
    this.#streamKey = streamKey
    this.#prepare = prepare
  }

  publish(request: PublishRequest): PublicationSink | Promise<PublicationSink> {
    const { asking } = this
    return asking === undefined
      ? this.#admit(request)
      : asking.then(() => this.#admit(request, { isAsked: true }))
  }

  #admit(request: PublishRequest, { isAsked = false } = {}): PublicationSink {
    if (isAsked) request.signal?.throwIfAborted()
    if (this.failure !== undefined) throw this.failure
    if (request.streamKey !== this.#streamKey) {
      throw new KairoError('ERR_STREAM_KEY', 'the stream key opens no stream')
    }
    if (this.sinks.some((sink) => sink.endReason === undefined)) {
      throw new KairoError('ERR_PUBLISHER_ACTIVE', 'the stream is being published already')
    }
    const sink = new RecordingSink()
    this.#prepare(sink)
    this.requests.push(request)
    this.sinks.push(sink)
    for (const resolve of this.#watchers.splice(0)) resolve(sink)
    return sink
  }

  /** The next publication's sink. */
  async next(): Promise<RecordingSink> {
    return new Promise((resolve) => {
      this.#watchers.push(resolve)
    })
  }
}
